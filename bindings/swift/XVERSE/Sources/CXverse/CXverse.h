// The installed header, found through pkg-config.
#include <xverse.h>
