/* check.h - the assertions of the C programs: they name the place and the library's own message. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                \
  do {                                                                                                  \
    if (!(condition)) {                                                                                 \
      fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, xverse_last_error()); \
      exit(1);                                                                                          \
    }                                                                                                   \
  } while (0)

#define OK(call) CHECK((call) == XVERSE_OK)

#endif
