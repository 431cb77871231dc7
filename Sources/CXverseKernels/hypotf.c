// hypotf.c -- hypotf of libm, for the linker alone: nothing calls it.
//
// Swift's runtime refers to it, and glibc's has the version 2.35, newer than all else the library needs: with this one a
// system with glibc 2.34 will do (RHEL 9).
float hypotf(float x, float y);

// The squares of floats and their sum are finite in double, unless x or y is not.
float hypotf(float x, float y) {
  if (__builtin_isinf(x) || __builtin_isinf(y)) return __builtin_inff();
  return (float)__builtin_sqrt((double)x * x + (double)y * y);
}
