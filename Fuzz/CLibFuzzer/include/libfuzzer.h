/* libfuzzer.h - the entry of LLVM's libFuzzer for programs with a main of their own. */
#ifndef LIBFUZZER_H
#define LIBFUZZER_H

#include <stddef.h>
#include <stdint.h>

/* Calls `callback` with one input after the other until the arguments say that it is enough; returns the exit status.
 * An input without a fault makes the callback return 0. */
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));

#endif
