// openmp.c -- libomp, loaded when it is wanted, and what can make it end the process.
//
// The code that clang makes of the region in parallel.c calls five functions of libomp by name. They are defined here,
// hidden, and pass on to the libomp that was loaded: linked with it, the library would bring it into every process that
// holds libxverse, where MKL, PyTorch and others find it before their own runtime.
#ifdef _OPENMP
#define _GNU_SOURCE
#include "openmp.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

// ---- loading ----

typedef void region(int32_t *, int32_t *, ...);

static struct {
  void (*fork_call)(void *place, int32_t count, region *body, ...);
  int32_t (*global_thread_num)(void *place);
  void (*push_num_threads)(void *place, int32_t thread, int32_t threads);
  int32_t (*master)(void *place, int32_t thread);
  void (*end_master)(void *place, int32_t thread);
} omp;

static const char *const names[] = {"libomp.so.5", "libomp.so"};

static pthread_once_t loading = PTHREAD_ONCE_INIT;
static int32_t is_loaded;
// The file, when it was not in the process before.
static char own_path[4096];

static void *look_up(void *library, const char *name) {
  void *const symbol = dlsym(library, name);
  if (symbol == NULL) is_loaded = 0;
  return symbol;
}

static void load(void) {
  void *library = NULL;
  int was_there = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names && library == NULL; ++i) {
    void *const before = dlopen(names[i], RTLD_NOW | RTLD_NOLOAD);
    was_there = before != NULL;
    library = before != NULL ? before : dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  }
  if (library == NULL) return;
  is_loaded = 1;
  *(void **)&omp.fork_call = look_up(library, "__kmpc_fork_call");
  *(void **)&omp.global_thread_num = look_up(library, "__kmpc_global_thread_num");
  *(void **)&omp.push_num_threads = look_up(library, "__kmpc_push_num_threads");
  *(void **)&omp.master = look_up(library, "__kmpc_master");
  *(void **)&omp.end_master = look_up(library, "__kmpc_end_master");
  Dl_info info;
  if (is_loaded && !was_there && dladdr(*(void **)&omp.fork_call, &info) && strlen(info.dli_fname) < sizeof own_path) {
    strcpy(own_path, info.dli_fname);
  }
}

int32_t xvk_openmp_load(void) {
  pthread_once(&loading, load);
  return is_loaded;
}

// ---- what the compiler calls ----

enum { MOST_CAPTURED = 8 };

// libomp reads `count` pointers, so the rest may be anything.
void __kmpc_fork_call(void *place, int32_t count, region *body, ...) {
  void *captured[MOST_CAPTURED] = {NULL};
  va_list arguments;
  va_start(arguments, body);
  for (int32_t i = 0; i < count && i < MOST_CAPTURED; ++i) captured[i] = va_arg(arguments, void *);
  va_end(arguments);
  omp.fork_call(place, count, body, captured[0], captured[1], captured[2], captured[3], captured[4], captured[5],
                captured[6], captured[7]);
}

int32_t __kmpc_global_thread_num(void *place) { return omp.global_thread_num(place); }

void __kmpc_push_num_threads(void *place, int32_t thread, int32_t threads) {
  omp.push_num_threads(place, thread, threads);
}

int32_t __kmpc_master(void *place, int32_t thread) { return omp.master(place, thread); }

void __kmpc_end_master(void *place, int32_t thread) { omp.end_master(place, thread); }

// ---- what libomp ends the process for ----

static int begins_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

// A plain number of threads is followed or overruled; all other settings can be wrong, and are then fatal, told on
// stderr, or followed until memory ends.
static int is_harmless(const char *setting) {
  if (!begins_with(setting, "OMP_NUM_THREADS=")) return 0;
  const char *const digits = strchr(setting, '=') + 1;
  const size_t count = strspn(digits, "0123456789");
  return count >= 1 && count <= 3 && digits[count] == '\0' && atoi(digits) > 0;
}

// Those that libomp reads, as environ has them; NULL when there is none that matters.
static const char *setting(void) {
  static const char *const prefixes[] = {"OMP_", "KMP_", "LIBOMP_", "GOMP_", "OMPT_", "OMPX_"};
  extern char **environ;
  for (char **entry = environ; entry != NULL && *entry != NULL; ++entry) {
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; ++i) {
      if (begins_with(*entry, prefixes[i]) && !is_harmless(*entry)) return *entry;
    }
  }
  return NULL;
}

// libomp takes memory, threads with stacks and a file of shared memory without asking whether it can have them.
static const char *limit(void) {
  static const struct {
    int resource;
    rlim_t least;
    const char *name;
  } limits[] = {
      {RLIMIT_AS, RLIM_INFINITY, "the address space is limited"},
      {RLIMIT_DATA, RLIM_INFINITY, "the size of the data is limited"},
      {RLIMIT_STACK, 1 << 20, "the limit of the stack is below 1 MiB"},
      {RLIMIT_FSIZE, 1 << 20, "the limit of a file's size is below 1 MiB"},
      {RLIMIT_NOFILE, 32, "fewer than 32 files can be open"},
  };
  struct rlimit r;
  for (size_t i = 0; i < sizeof limits / sizeof *limits; ++i) {
    if (getrlimit(limits[i].resource, &r) == 0 && r.rlim_cur < limits[i].least) return limits[i].name;
  }
  return NULL;
}

typedef struct {
  char name[128];
} found;

// libomp, Intel's and NVIDIA's runtimes share names and memory; GNU's libgomp is another family.
static int is_relative(struct dl_phdr_info *info, size_t size, void *context) {
  found *const other = context;
  const char *const slash = strrchr(info->dlpi_name, '/'), *const name = slash ? slash + 1 : info->dlpi_name;
  (void)size;
  const int is_omp = begins_with(name, "libomp") && !(name[6] >= 'a' && name[6] <= 'z');
  if (!is_omp && strstr(name, "iomp5") == NULL && !begins_with(name, "libnvomp")) return 0;
  if (strcmp(info->dlpi_name, own_path) == 0) return 0;
  snprintf(other->name, sizeof other->name, "%s", name);
  return 1;
}

// A runtime that was linked into another library, or one that has been closed: what it says of itself while it lives.
static int is_registered(void) {
  char name[64];
  snprintf(name, sizeof name, "__KMP_REGISTERED_LIB_%d", (int)getpid());
  if (getenv(name) != NULL) return 1;
  snprintf(name, sizeof name, "/__KMP_REGISTERED_LIB_%d_%d", (int)getpid(), (int)getuid());
  const int file = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
  if (file >= 0) close(file);
  return file >= 0;
}

// libomp registers itself in shared memory.
static int share_memory(void) {
  char name[64];
  snprintf(name, sizeof name, "/xverse-%d-%lx", (int)getpid(), (unsigned long)pthread_self());
  const int file = shm_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) return errno == EEXIST;
  const int is_sized = ftruncate(file, 1024) == 0;
  shm_unlink(name);
  close(file);
  return is_sized;
}

int32_t xvk_openmp_is_safe(char *reason, size_t size) {
  found other;
  const char *text;
  if ((text = setting()) != NULL) {
    snprintf(reason, size, "%.*s is set in the environment", (int)strcspn(text, "=") % 64, text);
  } else if ((text = limit()) != NULL) {
    snprintf(reason, size, "%s", text);
  } else if (dl_iterate_phdr(is_relative, &other)) {
    snprintf(reason, size, "another OpenMP runtime is in the process, %s", other.name);
  } else if (own_path[0] == '\0' && is_registered()) {
    snprintf(reason, size, "another OpenMP runtime is at work in the process");
  } else if (!share_memory()) {
    snprintf(reason, size, "there is no shared memory (/dev/shm)");
  } else if (!xvk_openmp_load()) {
    snprintf(reason, size, "libomp is not installed");
  } else {
    snprintf(reason, size, "nothing in the process speaks against it");
    return 1;
  }
  return 0;
}

#endif
