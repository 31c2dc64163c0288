/* augment.c: the draws behind a view, after torchvision and DINOv2's data transform. */
#include <math.h>
#include <stdlib.h>

#include "runtime/augment.h"

static const double aspect_min = 3.0 / 4, aspect_max = 4.0 / 3;
static const double sigma_min = 0.1, sigma_max = 2;
static const float solarize_threshold = 0.5f;

struct poa_augmenter {
  poa_resampler *resampler;
  poa_blurrer *blurrer;
};

poa_status poa_augmenter_create(poa_augmenter **augmenter, int size, poa_error *error) {
  poa_augmenter *a = *augmenter = calloc(1, sizeof *a);
  if (!a)
    return poa_fail(error, POA_NO_MEMORY, "no memory to augment images");
  poa_status status = poa_resampler_create(&a->resampler, size, error);
  if (status == POA_OK)
    status = poa_blurrer_create(&a->blurrer, size, error);
  if (status != POA_OK) {
    poa_augmenter_free(a);
    *augmenter = NULL;
  }
  return status;
}

poa_status poa_augmenter_reserve(poa_augmenter *augmenter, int height, int width,
                                 poa_error *error) {
  return poa_resampler_reserve(augmenter->resampler, height, width, error);
}

void poa_augmenter_free(poa_augmenter *augmenter) {
  if (!augmenter)
    return;
  poa_resampler_free(augmenter->resampler);
  poa_blurrer_free(augmenter->blurrer);
  free(augmenter);
}

static double between(poa_random *random, double low, double high) {
  return low + (high - low) * poa_random_uniform(random);
}

static bool happens(poa_random *random, double probability) {
  return poa_random_uniform(random) < probability;
}

static poa_box middle_box(int height, int width) {
  double aspect = (double)width / height;
  int h = height, w = width;
  if (aspect < aspect_min)
    h = (int)lrint(width / aspect_min);
  else if (aspect > aspect_max)
    w = (int)lrint(height * aspect_max);
  return (poa_box){(height - h) / 2, (width - w) / 2, h, w};
}

poa_box poa_random_box(int height, int width, double scale_min, double scale_max,
                       poa_random *random) {
  enum { TRIES = 10 };
  for (int i = 0; i < TRIES; i++) {
    double area = (double)height * width * between(random, scale_min, scale_max);
    double aspect = exp(between(random, log(aspect_min), log(aspect_max)));
    double w = rint(sqrt(area * aspect)), h = rint(sqrt(area / aspect));
    if (w < 1 || w > width || h < 1 || h > height)
      continue;
    int top = (int)poa_random_below(random, height - (int)h + 1);
    int left = (int)poa_random_below(random, width - (int)w + 1);
    return (poa_box){top, left, (int)h, (int)w};
  }
  return middle_box(height, width);
}

static float factor(poa_random *random, double strength) {
  return (float)between(random, strength < 1 ? 1 - strength : 0, 1 + strength);
}

static void jitter(const poa_augmentation *how, poa_random *random, poa_image view) {
  enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, STEPS };
  int32_t order[STEPS];
  poa_random_permutation(random, order, STEPS);
  float brightness = factor(random, how->brightness), contrast = factor(random, how->contrast);
  float saturation = factor(random, how->saturation);
  float turn = (float)between(random, -how->hue, how->hue);
  for (int i = 0; i < STEPS; i++) {
    if (order[i] == BRIGHTNESS && how->brightness > 0)
      poa_image_brightness(view, brightness);
    else if (order[i] == CONTRAST && how->contrast > 0)
      poa_image_contrast(view, contrast);
    else if (order[i] == SATURATION && how->saturation > 0)
      poa_image_saturation(view, saturation);
    else if (order[i] == HUE && how->hue > 0)
      poa_image_hue(view, turn);
  }
}

static void replicate(poa_image view) {
  int64_t plane = (int64_t)view.size * view.size;
  for (int64_t i = 0; i < plane; i++)
    view.data[plane + i] = view.data[2 * plane + i] = view.data[i];
}

void poa_augment(poa_augmenter *augmenter, poa_pixels pixels, const poa_augmentation *how,
                 const poa_normalization *normalization, poa_random *random, poa_image view) {
  bool replicated = pixels.channels < view.channels; /* all is done once, then copied */
  poa_image work = {view.data, replicated ? 1 : view.channels, view.size};
  poa_box box = poa_random_box(pixels.height, pixels.width, how->scale_min, how->scale_max, random);
  poa_resample(augmenter->resampler, pixels, box, happens(random, how->flip), work);
  if (happens(random, how->jitter))
    jitter(how, random, work);
  if (happens(random, how->grey))
    poa_image_grey(work);
  if (happens(random, how->blur))
    poa_image_blur(augmenter->blurrer, work, between(random, sigma_min, sigma_max));
  if (happens(random, how->solarize))
    poa_image_solarize(work, solarize_threshold);
  if (replicated)
    replicate(view);
  poa_image_normalize(view, normalization->mean, normalization->deviation);
}
