/* features.c: the features of made-up images, through the library.
 *
 *   cc features.c $(pkg-config --cflags --libs poa) -o features
 *   ./features runs/fashion width=64,depth=3 */
#include <poa.h>
#include <stdio.h>
#include <stdlib.h>

static size_t elements(poa_network_tensor tensor) {
  size_t count = 1;
  for (int i = 0; i < tensor.rank; i++)
    count *= (size_t)tensor.extent[i];
  return count;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s MODEL [POINT]\n", argv[0]);
    return 2;
  }
  poa_network *network;
  poa_error error = {0};
  poa_network_options options = {.at = argc > 2 ? argv[2] : NULL, .batch = 2};
  if (poa_network_open(&network, argv[1], &options, &error)) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  size_t pixels = elements(poa_network_input(network, 0));
  size_t values = elements(poa_network_output(network, 0));
  float *images = malloc(pixels * sizeof *images), *features = malloc(values * sizeof *features);
  if (!images || !features)
    return 1;
  for (size_t i = 0; i < pixels; i++)
    images[i] = (float)(i % 7) / 7 - 0.5f;
  poa_network_run(network, (const void *[]){images}, (void *[]){features});
  for (size_t i = 0; i < 4 && i < values; i++)
    printf("%s[%zu] = %g\n", poa_network_output(network, 0).name, i, (double)features[i]);
  free(images);
  free(features);
  poa_network_close(network);
  return 0;
}
