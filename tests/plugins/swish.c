/* swish.c: an activation of your own and its gradient, as examples/swish.poa declares them.
 *
 *   y = x * s(x),  dx = dy * (s + x * s * (1 - s)),  s(x) = 1 / (1 + exp(-x))
 *
 *   cc -O2 -shared -fPIC -o swish.so tests/plugins/swish.c -lm */
#include <math.h>
#include <stdint.h>

void swish_forward(const float *x, float *y, int64_t count);
void swish_backward(const float *x, const float *dy, float *dx, int64_t count);

static float logistic(float x) {
  return 1 / (1 + expf(-x));
}

void swish_forward(const float *x, float *y, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    y[i] = x[i] * logistic(x[i]);
}

void swish_backward(const float *x, const float *dy, float *dx, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    float s = logistic(x[i]);
    dx[i] = dy[i] * (s + x[i] * s * (1 - s));
  }
}
