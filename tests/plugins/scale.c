/* scale.c: an external function as a user would write one, for tests and as an example.
 *
 *   cc -shared -fPIC -o scale.so scale.c
 *   poa train model.poa --plugin ./scale.so
 *
 * A plugin needs nothing of poa: a C function of pointers, integers and floating-point
 * numbers, and no return value. */
#include <stdint.h>

void scale(const float *x, float *y, int64_t count, double factor);
void affine(const float *x, float *y, int count, float factor, int64_t offset);

/* y[i] = factor * x[i] */
void scale(const float *x, float *y, int64_t count, double factor) {
  for (int64_t i = 0; i < count; i++)
    y[i] = (float)(factor * x[i]);
}

/* y[i] = factor * x[i] + offset */
void affine(const float *x, float *y, int count, float factor, int64_t offset) {
  for (int i = 0; i < count; i++)
    y[i] = factor * x[i] + (float)offset;
}
