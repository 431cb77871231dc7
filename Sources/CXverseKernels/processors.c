// processors.c -- which CPUs a thread may run on, and its name: calls that Swift's view of the C library lacks.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "include/xverse_kernels.h"

int32_t xvk_processors(int32_t thread, uint8_t *bits, size_t size) {
  return sched_getaffinity(thread, size, (cpu_set_t *)bits) == 0;
}

// ---- the places of GNU's OpenMP ----

enum { MOST_RUNTIMES = 4, LONGEST_PATH = 512, MOST_IN_A_PLACE = 1024 };

typedef struct {
  int count;
  char paths[MOST_RUNTIMES][LONGEST_PATH];
} runtimes;

// libgomp.so.1, or libgomp-24e2ab19.so.1.0.0 as Python's packages bring it.
static int note_libgomp(struct dl_phdr_info *info, size_t size, void *context) {
  runtimes *const found = context;
  const char *const slash = strrchr(info->dlpi_name, '/'), *const name = slash ? slash + 1 : info->dlpi_name;
  (void)size;
  if (strncmp(name, "libgomp", strlen("libgomp")) == 0 && strlen(info->dlpi_name) < LONGEST_PATH) {
    strcpy(found->paths[found->count++], info->dlpi_name);
  }
  return found->count == MOST_RUNTIMES;
}

static void add_places(void *libgomp, uint8_t *bits, size_t size) {
  int (*count_places)(void), (*count_in)(int);
  void (*ids_of)(int, int *);
  *(void **)&count_places = dlsym(libgomp, "omp_get_num_places");
  *(void **)&count_in = dlsym(libgomp, "omp_get_place_num_procs");
  *(void **)&ids_of = dlsym(libgomp, "omp_get_place_proc_ids");
  if (count_places == NULL || count_in == NULL || ids_of == NULL) return;
  int ids[MOST_IN_A_PLACE];
  for (int place = count_places() - 1; place >= 0; --place) {
    const int count = count_in(place);
    if (count > MOST_IN_A_PLACE) continue;
    ids_of(place, ids);
    for (int i = 0; i < count; ++i) {
      if (ids[i] >= 0 && (size_t)ids[i] / 8 < size) bits[ids[i] / 8] |= (uint8_t)(1u << (ids[i] % 8));
    }
  }
}

void xvk_add_openmp_places(uint8_t *bits, size_t size) {
  runtimes found = {0};
  // Libraries can be opened after the walk only, which holds a lock.
  dl_iterate_phdr(note_libgomp, &found);
  for (int i = 0; i < found.count; ++i) {
    void *const libgomp = dlopen(found.paths[i], RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (libgomp == NULL) continue;
    add_places(libgomp, bits, size);
    dlclose(libgomp);
  }
}

int32_t xvk_bind_thread(const uint8_t *bits, size_t size) {
  return sched_setaffinity(0, size, (const cpu_set_t *)bits) == 0;
}

void xvk_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
