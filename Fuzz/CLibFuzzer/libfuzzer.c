/* libfuzzer.c - nothing: a target of a package has at least one source. */
#include "libfuzzer.h"
