/* augment and image: what the network gets to see. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/augment.h"

enum { MAX_SIDE = 40 };

static uint8_t pixels_of[3 * MAX_SIDE * MAX_SIDE];

/* The pattern that the expected values below were made from with PIL. */
static poa_pixels pattern(int channels, int height, int width) {
  for (int c = 0; c < channels; c++)
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++)
        pixels_of[(c * height + y) * width + x] =
            (uint8_t)(37 * y * y + 53 * x + 11 * x * y + 90 * c);
  return (poa_pixels){pixels_of, channels, height, width};
}

static void resample(poa_pixels pixels, poa_box box, bool flip, poa_image image) {
  poa_resampler *resampler;
  poa_error error = {0};
  cr_assert_eq(poa_resampler_create(&resampler, image.size, &error), POA_OK);
  cr_assert_eq(poa_resampler_reserve(resampler, pixels.height, pixels.width, &error), POA_OK);
  poa_resample(resampler, pixels, box, flip, image);
  poa_resampler_free(resampler);
}

/* Guards the filter: values of PIL's resize (BICUBIC, mode F, cut to 0..1) of the
 * pattern, shrinking and enlarging, with different scales of the axes. */
Test(augment, resamples_as_pil) {
  static const struct {
    int height, width, size;
    float expected[25];
  } cases[] = {
      {7,
       5,
       4,
       {0.103407f, 0.364457f, 0.674074f, 0.579323f, 0.501347f, 0.666524f, 0.476137f, 0.578011f,
        0.414140f, 0.499165f, 0.441320f, 0.669528f, 0.396960f, 0.300949f, 0.558302f, 0.303482f}},
      {3, 3, 5, {0.000000f, 0.051647f, 0.193637f, 0.335627f, 0.413665f, 0.014719f, 0.097021f,
                 0.252444f, 0.435038f, 0.538512f, 0.126156f, 0.221891f, 0.396078f, 0.570266f,
                 0.666001f, 0.413010f, 0.549349f, 0.715130f, 0.486913f, 0.316258f, 0.590801f,
                 0.752576f, 0.910618f, 0.416012f, 0.069259f}},
      {28,
       20,
       3,
       {0.474168f, 0.526441f, 0.487076f, 0.511038f, 0.474935f, 0.516817f, 0.480349f, 0.492659f,
        0.554495f}},
  };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    int size = cases[c].size;
    float out[25];
    poa_pixels pixels = pattern(1, cases[c].height, cases[c].width);
    resample(pixels, (poa_box){0, 0, pixels.height, pixels.width}, false,
             (poa_image){out, 1, size});
    for (int i = 0; i < size * size; i++)
      cr_assert_float_eq(out[i], cases[c].expected[i], 3e-6, "case %zu, value %d: %f", c, i,
                         out[i]);
  }
}

/* Guards that a box is all that is read: the same as resampling it cut out. */
Test(augment, box_is_a_crop) {
  poa_pixels whole = pattern(1, 20, 30);
  poa_box box = {3, 7, 11, 9};
  uint8_t cut[11 * 9];
  for (int y = 0; y < box.height; y++)
    memcpy(cut + y * 9, whole.data + (box.top + y) * 30 + box.left, 9);
  float a[64], b[64];
  resample(whole, box, false, (poa_image){a, 1, 8});
  resample((poa_pixels){cut, 1, 11, 9}, (poa_box){0, 0, 11, 9}, false, (poa_image){b, 1, 8});
  cr_assert_arr_eq(a, b, sizeof a);
}

/* Guards the flip, and that grey fills three channels. */
Test(augment, flips_and_fills_channels) {
  poa_pixels pixels = pattern(1, 9, 13);
  float plain[36], flipped[3 * 36];
  resample(pixels, (poa_box){0, 0, 9, 13}, false, (poa_image){plain, 1, 6});
  resample(pixels, (poa_box){0, 0, 9, 13}, true, (poa_image){flipped, 3, 6});
  for (int i = 0; i < 3 * 36; i++)
    cr_assert_eq(flipped[i], plain[i % 36 / 6 * 6 + 5 - i % 6]);
}

/* Guards that resampling any box to any size and blurring keep a constant image. */
Test(augment, constant_stays_constant) {
  memset(pixels_of, 77, sizeof pixels_of);
  poa_pixels pixels = {pixels_of, 1, 40, 31};
  poa_random random;
  poa_random_open(&random, 1, 0, 0);
  float out[28 * 28];
  for (int size = 1; size <= 28; size++) {
    poa_image image = {out, 1, size};
    poa_blurrer *blurrer;
    poa_error error = {0};
    cr_assert_eq(poa_blurrer_create(&blurrer, size, &error), POA_OK);
    for (int trial = 0; trial < 20; trial++) {
      resample(pixels, poa_random_box(40, 31, 0.001, 1, &random), trial & 1, image);
      poa_image_blur(blurrer, image, 0.1 + 0.2 * trial);
      for (int i = 0; i < size * size; i++)
        cr_assert_float_eq(out[i], 77.0 / 255, 2e-6, "size %d: %f", size, out[i]);
    }
    poa_blurrer_free(blurrer);
  }
}

/* Guards the blur: its impulse response is the Gaussian, away from the border and
 * mirrored at it. */
Test(augment, blur_is_gaussian) {
  enum { SIZE = 21 };
  const double sigma = 1.5;
  float out[SIZE * SIZE] = {0};
  poa_blurrer *blurrer;
  poa_error error = {0};
  cr_assert_eq(poa_blurrer_create(&blurrer, SIZE, &error), POA_OK);
  out[10 * SIZE + 1] = 1;
  poa_image_blur(blurrer, (poa_image){out, 1, SIZE}, sigma);
  double sum = 0;
  for (int k = -5; k <= 5; k++)
    sum += exp(-k * k / (2 * sigma * sigma));
  for (int y = 0; y < SIZE; y++)
    for (int x = 0; x < SIZE; x++) { /* the impulse at 1 is seen again at -1 */
      double row = abs(y - 10) <= 5 ? exp(-(y - 10) * (y - 10) / (2 * sigma * sigma)) : 0;
      double column = abs(x - 1) <= 5 ? exp(-(x - 1) * (x - 1) / (2 * sigma * sigma)) : 0;
      column += x + 1 <= 5 ? exp(-(x + 1) * (x + 1) / (2 * sigma * sigma)) : 0;
      cr_assert_float_eq(out[y * SIZE + x], row * column / (sum * sum), 1e-6, "%d %d", y, x);
    }
  poa_blurrer_free(blurrer);
}

/* Guards colour on values worked out by hand. */
Test(augment, colour) {
  float rgb[3];
  poa_image pixel = {rgb, 3, 1};
#define SET(r, g, b) (rgb[0] = (r), rgb[1] = (g), rgb[2] = (b))
#define EXPECT(r, g, b)                                                                            \
  cr_assert(fabsf(rgb[0] - (r)) < 1e-6 && fabsf(rgb[1] - (g)) < 1e-6 &&                            \
                fabsf(rgb[2] - (b)) < 1e-6,                                                        \
            "%f %f %f", rgb[0], rgb[1], rgb[2])
  SET(0.2f, 0.4f, 0.9f), poa_image_brightness(pixel, 1.5f);
  EXPECT(0.3f, 0.6f, 1);
  SET(1, 0, 0), poa_image_grey(pixel);
  EXPECT(0.299f, 0.299f, 0.299f);
  SET(0.5f, 0.25f, 0.25f), poa_image_saturation(pixel, 2); /* grey is 0.32475 */
  EXPECT(0.67525f, 0.17525f, 0.17525f);
  SET(0.5f, 0.25f, 0.25f), poa_image_contrast(pixel, 0.5f);
  EXPECT(0.412375f, 0.287375f, 0.287375f);
  SET(0.8f, 0.2f, 0.2f), poa_image_hue(pixel, 1.0f / 3);
  EXPECT(0.2f, 0.8f, 0.2f);
  SET(0.8f, 0.2f, 0.2f), poa_image_hue(pixel, -1.0f / 12); /* red towards magenta */
  EXPECT(0.8f, 0.2f, 0.5f);
  SET(0.1f, 0.3f, 0.7f), poa_image_hue(pixel, 0.5f); /* the opposite hue */
  EXPECT(0.7f, 0.5f, 0.1f);
  SET(0.4f, 0.4f, 0.4f), poa_image_hue(pixel, 0.3f);
  EXPECT(0.4f, 0.4f, 0.4f);
  SET(0.49f, 0.5f, 0.9f), poa_image_solarize(pixel, 0.5f);
  EXPECT(0.49f, 0.5f, 0.1f);
  SET(0.5f, 0.6f, 0.7f),
      poa_image_normalize(pixel, (float[]){0.5f, 0.5f, 0.5f}, (float[]){1, 0.5f, 0.25f});
  EXPECT(0, 0.2f, 0.8f);
}

/* Guards grey images: brightness, contrast and solarizing as of one channel of many; what is about
 * colour leaves them alone. */
Test(augment, colour_of_grey) {
  float values[4];
  poa_image image = {values, 1, 2};
#define RAMP                                                                                       \
  (values[0] = 0.1f, values[1] = 0.3f, values[2] = 0.5f, values[3] = 0.7f) /* mean 0.4             \
                                                                            */
#define EXPECT_GREY(a, b, c, d)                                                                    \
  cr_assert(fabsf(values[0] - (a)) < 1e-6 && fabsf(values[1] - (b)) < 1e-6 &&                      \
                fabsf(values[2] - (c)) < 1e-6 && fabsf(values[3] - (d)) < 1e-6,                    \
            "%f %f %f %f", values[0], values[1], values[2], values[3])
  RAMP, poa_image_brightness(image, 1.5f);
  EXPECT_GREY(0.15f, 0.45f, 0.75f, 1);
  RAMP, poa_image_contrast(image, 0.5f);
  EXPECT_GREY(0.25f, 0.35f, 0.45f, 0.55f);
  RAMP, poa_image_contrast(image, 2);
  EXPECT_GREY(0, 0.2f, 0.6f, 1);
  RAMP, poa_image_saturation(image, 0), poa_image_hue(image, 0.5f), poa_image_grey(image);
  EXPECT_GREY(0.1f, 0.3f, 0.5f, 0.7f);
  RAMP, poa_image_solarize(image, 0.5f);
  EXPECT_GREY(0.1f, 0.3f, 0.5f, 0.3f);
  RAMP, poa_image_normalize(image, (float[]){0.1f}, (float[]){0.2f});
  EXPECT_GREY(0, 1, 2, 3);
}

/* Guards hue against turning back: every colour returns, at every turn. */
Test(augment, hue_turns_back) {
  poa_random random;
  poa_random_open(&random, 3, 0, 0);
  for (int i = 0; i < 20000; i++) {
    float rgb[3], before[3], turn = (float)poa_random_uniform(&random) - 0.5f;
    for (int c = 0; c < 3; c++)
      rgb[c] = before[c] = (float)poa_random_uniform(&random);
    poa_image_hue((poa_image){rgb, 3, 1}, turn);
    poa_image_hue((poa_image){rgb, 3, 1}, -turn);
    for (int c = 0; c < 3; c++)
      cr_assert_float_eq(rgb[c], before[c], 1e-5);
  }
}

/* Guards contrast's mean over more pixels than are summed at once. */
Test(augment, contrast_mean) {
  float values[25];
  for (int i = 0; i < 25; i++)
    values[i] = (float)i / 25;
  poa_image_contrast((poa_image){values, 1, 5}, 0);
  for (int i = 0; i < 25; i++)
    cr_assert_float_eq(values[i], 0.48f, 1e-6);
}

/* Guards the boxes: inside the image, areas and aspects within bounds, both spread. */
Test(augment, boxes) {
  poa_random random;
  poa_random_open(&random, 4, 0, 0);
  double area_sum = 0, log_aspect = 0;
  int flush = 0;
  enum { N = 20000 };
  for (int i = 0; i < N; i++) {
    poa_box box = poa_random_box(100, 100, 0.05, 0.32, &random);
    double area = box.height * box.width / 1e4, aspect = (double)box.width / box.height;
    cr_assert(box.top >= 0 && box.left >= 0);
    cr_assert(box.top + box.height <= 100 && box.left + box.width <= 100);
    cr_assert(area > 0.047 && area < 0.335, "%f", area);
    cr_assert(aspect > 0.7 && aspect < 1.43, "%f", aspect);
    area_sum += area;
    log_aspect += log(aspect);
    flush += box.top + box.height == 100;
  }
  cr_assert_float_eq(area_sum / N, 0.185, 0.005);
  cr_assert_float_eq(log_aspect / N, 0, 0.01);
  cr_assert_gt(flush, 0);
}

/* Guards the fallback: no box of allowed aspect covers a long image. */
Test(augment, box_fallback) {
  poa_random random;
  poa_random_open(&random, 4, 0, 0);
  poa_box wide = poa_random_box(30, 300, 1, 1, &random);
  cr_assert(wide.height == 30 && wide.width == 40 && wide.top == 0 && wide.left == 130);
  poa_box tall = poa_random_box(300, 30, 1, 1, &random);
  cr_assert(tall.width == 30 && tall.height == 40 && tall.left == 0 && tall.top == 130);
  poa_box dot = poa_random_box(1, 1, 0.05, 0.05, &random);
  cr_assert(dot.width == 1 && dot.height == 1);
}

static const poa_augmentation everything = {.scale_min = 0.32,
                                            .scale_max = 1,
                                            .flip = 0.5,
                                            .jitter = 0.8,
                                            .grey = 0.2,
                                            .blur = 0.5,
                                            .solarize = 0.2,
                                            .brightness = 0.4,
                                            .contrast = 0.4,
                                            .saturation = 0.2,
                                            .hue = 0.1};
static const poa_normalization identity = {{0}, {1, 1, 1}};

/* Guards views: within 0..1 before normalization, the same from the same stream, spread
 * otherwise, and three equal channels from a grey image. */
Test(augment, views) {
  poa_augmenter *augmenter;
  poa_error error = {0};
  cr_assert_eq(poa_augmenter_create(&augmenter, 16, &error), POA_OK);
  cr_assert_eq(poa_augmenter_reserve(augmenter, 40, 40, &error), POA_OK);
  float a[3 * 256], b[3 * 256];
  int different = 0;
  for (uint32_t use = 0; use < 200; use++) {
    poa_random one, two;
    poa_random_open(&one, 9, 0, use);
    poa_random_open(&two, 9, 0, use);
    poa_augment(augmenter, pattern(3, 40, 40), &everything, &identity, &one, (poa_image){a, 3, 16});
    different += use > 0 && memcmp(a, b, sizeof a) != 0;
    poa_augment(augmenter, pattern(3, 40, 40), &everything, &identity, &two, (poa_image){b, 3, 16});
    cr_assert_arr_eq(a, b, sizeof a);
    for (int i = 0; i < 3 * 256; i++)
      cr_assert(a[i] >= -1e-6 && a[i] <= 1 + 1e-6, "%f", a[i]);
    poa_augment(augmenter, pattern(1, 40, 40), &everything, &identity, &one, (poa_image){a, 3, 16});
    cr_assert_arr_eq(a, a + 256, sizeof(float) * 256);
    cr_assert_arr_eq(a, a + 512, sizeof(float) * 256);
  }
  cr_assert_eq(different, 199);
  poa_augmenter_free(augmenter);
}

/* Guards the probabilities: a grey ramp is flipped half of the time and solarized (dark
 * where it was bright) a fifth of it. */
Test(augment, probabilities) {
  poa_augmentation how = {.scale_min = 1, .scale_max = 1, .flip = 0.5, .solarize = 0.2};
  poa_augmenter *augmenter;
  poa_error error = {0};
  cr_assert_eq(poa_augmenter_create(&augmenter, 16, &error), POA_OK);
  cr_assert_eq(poa_augmenter_reserve(augmenter, 16, 16, &error), POA_OK);
  for (int i = 0; i < 256; i++)
    pixels_of[i] = (uint8_t)(16 * (i % 16));
  int flipped = 0, solarized = 0;
  for (uint32_t use = 0; use < 4000; use++) {
    poa_random random;
    poa_random_open(&random, 2, 0, use);
    float view[256];
    poa_augment(augmenter, (poa_pixels){pixels_of, 1, 16, 16}, &how, &identity, &random,
                (poa_image){view, 1, 16});
    bool dark = view[0] < 0.25f && view[15] < 0.25f;
    solarized += dark;
    flipped += dark ? view[5] > view[10] : view[0] > view[15];
  }
  cr_assert(abs(flipped - 2000) < 130, "%d", flipped);
  cr_assert(abs(solarized - 800) < 110, "%d", solarized);
  poa_augmenter_free(augmenter);
}

/* A view as documented, from the primitives: what is drawn in which order, and what is done.
 * Returns the order of the jitter, as digits; *sigma is 0 without blur. */
static int documented_view(poa_pixels pixels, const poa_augmentation *how, poa_random *random,
                           poa_image view, double *sigma) {
  int order = 0;
  poa_box box = poa_random_box(pixels.height, pixels.width, how->scale_min, how->scale_max, random);
  resample(pixels, box, poa_random_uniform(random) < how->flip, view);
  if (poa_random_uniform(random) < how->jitter) {
    int32_t steps[4];
    poa_random_permutation(random, steps, 4);
    float brightness = (float)(0.6 + 0.8 * poa_random_uniform(random));
    float contrast = (float)(0.6 + 0.8 * poa_random_uniform(random));
    float saturation = (float)(0.8 + 0.4 * poa_random_uniform(random));
    float turn = (float)(-0.1 + 0.2 * poa_random_uniform(random));
    for (int i = 0; i < 4; i++) {
      order = 10 * order + steps[i];
      if (steps[i] == 0)
        poa_image_brightness(view, brightness);
      else if (steps[i] == 1)
        poa_image_contrast(view, contrast);
      else if (steps[i] == 2)
        poa_image_saturation(view, saturation);
      else
        poa_image_hue(view, turn);
    }
  }
  if (poa_random_uniform(random) < how->grey)
    poa_image_grey(view);
  *sigma = poa_random_uniform(random) < how->blur ? 0.1 + 1.9 * poa_random_uniform(random) : 0;
  poa_blurrer *blurrer;
  poa_error error = {0};
  cr_assert_eq(poa_blurrer_create(&blurrer, view.size, &error), POA_OK);
  if (*sigma > 0)
    poa_image_blur(blurrer, view, *sigma);
  poa_blurrer_free(blurrer);
  if (poa_random_uniform(random) < how->solarize)
    poa_image_solarize(view, 0.5f);
  return order;
}

/* Guards the whole: each view is the documented composition, of one channel and of three, with
 * every order of the jitter; and the draws, since a resumed run must see the crops of the first. */
Test(augment, documented_composition) {
  enum { SIZE = 12, VIEWS = 600 };
  bool seen[3211] = {false};
  int orders = 0;
  double least = 9, most = 0;
  poa_augmenter *augmenter;
  poa_error error = {0};
  cr_assert_eq(poa_augmenter_create(&augmenter, SIZE, &error), POA_OK);
  for (uint32_t use = 0; use < VIEWS; use++) {
    float expected[3 * SIZE * SIZE], found[3 * SIZE * SIZE];
    int channels = use % 2 ? 1 : 3, height = 20 + (int)use % 19, width = 20 + (int)use % 17;
    poa_pixels pixels = pattern(channels, height, width);
    poa_random random, same;
    double sigma;
    poa_random_open(&random, 11, 3, use);
    poa_random_open(&same, 11, 3, use);
    int order = documented_view(pixels, &everything, &random, (poa_image){expected, channels, SIZE},
                                &sigma);
    cr_assert_eq(poa_augmenter_reserve(augmenter, height, width, &error), POA_OK);
    poa_augment(augmenter, pixels, &everything, &identity, &same,
                (poa_image){found, channels, SIZE});
    for (int i = 0; i < channels * SIZE * SIZE; i++)
      cr_assert_float_eq(found[i], expected[i], 1e-5, "view %u, value %d: %f, expected %f", use, i,
                         found[i], expected[i]);
    cr_assert_eq(poa_random_u32(&random), poa_random_u32(&same));
    orders += order && !seen[order];
    seen[order] = true;
    if (sigma > 0) {
      least = fmin(least, sigma);
      most = fmax(most, sigma);
    }
  }
  cr_assert_eq(orders, 24);
  cr_assert(least > 0.1 && least < 0.15 && most < 2 && most > 1.95, "%f %f", least, most);
  poa_augmenter_free(augmenter);
}

/* Guards coloured pixels where one channel is asked for, and grey ones where three are: grey first,
 * and three times the same, each channel normalized by its own numbers. */
Test(augment, channels_that_differ) {
  const poa_augmentation plain = {.scale_min = 1, .scale_max = 1};
  const poa_normalization three = {{0.5f, 0.25f, 0}, {1, 0.5f, 0.25f}};
  poa_augmenter *augmenter;
  poa_error error = {0};
  float grey[1], colour[3];
  poa_random random;
  cr_assert_eq(poa_augmenter_create(&augmenter, 1, &error), POA_OK);
  cr_assert_eq(poa_augmenter_reserve(augmenter, 2, 2, &error), POA_OK);
  memset(pixels_of, 51, 4);
  memset(pixels_of + 4, 102, 4);
  memset(pixels_of + 8, 255, 4);
  poa_random_open(&random, 1, 0, 0);
  poa_augment(augmenter, (poa_pixels){pixels_of, 3, 2, 2}, &plain, &identity, &random,
              (poa_image){grey, 1, 1});
  cr_assert_float_eq(grey[0], 0.299 * 0.2 + 0.587 * 0.4 + 0.114, 1e-6);
  poa_augment(augmenter, (poa_pixels){pixels_of, 1, 2, 2}, &plain, &three, &random,
              (poa_image){colour, 3, 1});
  cr_assert_float_eq(colour[0], -0.3, 1e-6);
  cr_assert_float_eq(colour[1], -0.1, 1e-6);
  cr_assert_float_eq(colour[2], 0.8, 1e-6);
  poa_augmenter_free(augmenter);
}
