/* progress.c: the progress line on a terminal and elsewhere. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/progress.h"

static char *run(poa_progress_style style, int64_t total, int64_t updates, double loss) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *out = open_memstream(&text, &bytes);
  poa_progress *progress;
  cr_assert_eq(poa_progress_create(&progress, out, style, "train", "steps", 0, total, NULL),
               POA_OK);
  for (int64_t i = 1; i <= updates; i++)
    poa_progress_update(progress, i, loss);
  poa_progress_message(progress, "saved %d", 7);
  poa_progress_finish(progress);
  fclose(out);
  return text;
}

/* Protects: a log gets whole plain lines, few of them, the last one complete; no control codes. */
Test(progress, plain_lines) {
  char *text = run(POA_PROGRESS_PLAIN, 1000, 1000, 1.25);
  cr_expect(strstr(text, "train 1000/1000 100 %") && strstr(text, "loss 1.2500"), "%s", text);
  cr_expect(strstr(text, "\nsaved 7\n"));
  cr_expect(!strchr(text, '\r') && !strchr(text, '\033'));
  cr_expect_lt(strlen(text), 400);
  free(text);
}

/* Protects: a stream that is no terminal is treated as a log. */
Test(progress, auto_is_plain_off_a_terminal) {
  char *text = run(POA_PROGRESS_AUTO, 10, 10, NAN);
  cr_expect(!strchr(text, '\r') && !strstr(text, "loss"), "%s", text);
  free(text);
}

/* Protects: the live line never reaches the last column, redraws rarely, makes room for
 * messages and ends with a newline, also when the work stops early. */
Test(progress, live_line) {
  char *text = run(POA_PROGRESS_LIVE, 1000000, 5000, 1e30);
  for (char *at = text, *next; (next = strpbrk(at, "\r\n")); at = next + 1)
    cr_expect_leq(next - at, 79 + 3, "%.200s", at);
  cr_expect(strstr(text, "\r\033[Ksaved 7\n"), "%s", text);
  cr_expect(strstr(text, "5000/1000000"));
  cr_expect_eq(text[strlen(text) - 1], '\n');
  cr_expect_lt(strlen(text), 3000);
  free(text);
}

/* Protects: an unknown total shows no share and no time left. */
Test(progress, unknown_total) {
  char *text = run(POA_PROGRESS_PLAIN, 0, 3, NAN);
  cr_expect(strstr(text, "train 1") && !strstr(text, "%") && !strstr(text, "left"), "%s", text);
  free(text);
}
