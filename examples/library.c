/* library.c: a program around a network that poa made a library of. It reads images as raw float32
 * from standard input and prints their features.
 *
 *   poa compile runs/fashion --at width=64,depth=3 --emit object -o net.o
 *   cc library.c net.o -fopenmp -o program          # or, for --emit shared -o libnet.so:
 *   cc library.c $(PKG_CONFIG_PATH=. pkg-config --cflags --libs net) -Wl,-rpath,. -o program
 *   ./program <images.raw */
#include <stdio.h>
#include <stdlib.h>

#include "net.h"

enum { PIXELS = NET_CHANNELS * NET_SIZE * NET_SIZE };

int main(void) {
  if (!net_cpu_supported()) {
    fprintf(stderr, "this CPU lacks what the library was compiled for\n");
    return 1;
  }
  /* A workspace for each thread that calls; sizes have to be multiples of the alignment. */
  void *workspace = aligned_alloc(64, (net_workspace_bytes() + 63) / 64 * 64);
  float *image = malloc(PIXELS * sizeof *image), features[NET_DIMENSION];
  if (!workspace || !image)
    return 1;
  while (fread(image, sizeof *image, PIXELS, stdin) == PIXELS) {
    if (net_features(image, 1, features, workspace, 1) != 0)
      return 1;
    for (int i = 0; i < NET_DIMENSION; i++)
      printf("%.9g%c", (double)features[i], i + 1 < NET_DIMENSION ? ' ' : '\n');
  }
  free(image);
  free(workspace);
  return 0;
}
