/* eventfd.h - eventfd(2), which Swift's Glibc module leaves out. */
#include <sys/eventfd.h>
