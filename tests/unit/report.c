/* report.c, chart.c: report.html and its charts. */
#include <criterion/criterion.h>
#include <math.h>

#include "runtime/chart.h"
#include "runtime/report.h"
#include "temporary_folder.h"

static char *chart_text(const poa_chart *chart) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *out = open_memstream(&text, &bytes);
  poa_chart_write(out, chart);
  fclose(out);
  return text;
}

static int count(const char *text, const char *wanted) {
  int found = 0;
  for (; (text = strstr(text, wanted)); text += strlen(wanted))
    found++;
  return found;
}

/* Protects: tags open and close in order, so any browser shows the page. Understands only what the
 * report writes: no comments, no scripts. */
static void check_nesting(const char *text) {
  static const char *const empty[] = {"meta", "line", "polyline", "rect", "!DOCTYPE"};
  char stack[40][20], name[20];
  int depth = 0;
  for (; (text = strchr(text, '<')); text++) {
    cr_assert_eq(sscanf(text + 1, "%19[!/a-zA-Z0-9]", name), 1, "a stray '<': %.40s", text);
    bool single = false;
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
      single |= strncmp(name, empty[i], strlen(empty[i])) == 0;
    if (name[0] == '/') {
      cr_assert(depth > 0 && strcmp(name + 1, stack[depth - 1]) == 0, "closes %s", name);
      depth--;
    } else if (!single) {
      cr_assert_lt(depth, 40);
      strcpy(stack[depth++], name);
    }
  }
  cr_assert_eq(depth, 0);
}

/* Protects: the whole page: every model has a dot and a row, the intact one a ring; text from
 * outside is escaped; nothing is fetched or run. */
Test(report, page) {
  char folder[64], path[100];
  make_folder(folder);
  snprintf(path, sizeof path, "%s/report.html", folder);
  double steps[1000], values[1000];
  for (int i = 0; i < 1000; i++) {
    steps[i] = i;
    values[i] = i == 500 ? NAN : 10 / (1 + i / 100.0);
  }
  const poa_series total = {"total <b>", 1000, steps, values}, other = {"other", 10, steps, values};
  const poa_series *const both[] = {&total, &other};
  const poa_report_curves curves = {"losses & more", 2, both};
  const poa_report_model models[] = {
      {"width=32,depth=2", "width 32", false, 1e6, 2e8, 0.61},
      {"width=32,depth=4", "width 32", false, 2e6, 4e8, 0.66},
      {"width=48,depth=4", "width 48", true, 4e6, 9e8, 0.7},
  };
  const poa_report_fact facts[] = {{"steps", "1000"}, {"model", "<script>alert(1)</script>"}};
  const poa_report report = {.title = "a \"run\"",
                             .fact_count = 2,
                             .facts = facts,
                             .curves_count = 1,
                             .curves = &curves,
                             .model_count = 3,
                             .models = models,
                             .accuracy_name = "k-NN accuracy"};
  poa_error error = {0};
  cr_assert_eq(poa_report_write(path, &report, &error), POA_OK, "%s", error.message);
  static char page[200000];
  FILE *file = fopen(path, "r");
  page[fread(page, 1, sizeof page - 1, file)] = 0;
  fclose(file);
  check_nesting(page);
  cr_expect_eq(count(page, "<circle"), 3);
  cr_expect_eq(count(page, "r=\"6\""), 1);
  cr_expect_eq(count(page, "<tr class=\"intact\">"), 1);
  cr_expect_eq(count(page, "<polyline"), 4);
  cr_expect_eq(count(page, "<script"), 0);
  cr_expect_eq(count(page, "http"), 0);
  cr_expect_eq(count(page, "nan"), 0);
  cr_expect(strstr(page, "total &lt;b&gt;") && strstr(page, "losses &amp; more"));
  cr_expect_eq(count_files(folder), 1);
  remove_folder(folder);
}

/* Protects: charts of nothing, of one point, of equal and of extreme values are still charts: a
 * frame, a few ticks, no number that is not one. */
Test(report, degenerate_charts) {
  const double one[] = {5}, zero[] = {0, 0}, wild[] = {NAN, INFINITY}, huge[] = {1e-300, 1e300};
  const double negative[] = {-3, -1};
  const poa_chart_series series[] = {
      {.name = "one", .count = 1, .x = one, .y = one},
      {.name = "zero", .count = 2, .x = zero, .y = zero},
      {.name = "wild", .count = 2, .x = wild, .y = wild},
      {.name = "huge", .count = 2, .x = huge, .y = huge},
      {.name = "negative", .count = 2, .x = negative, .y = negative},
      {.name = "none", .count = 0},
  };
  for (size_t i = 0; i < sizeof series / sizeof *series; i++)
    for (int log_x = 0; log_x < 2; log_x++) {
      char *text = chart_text(&(poa_chart){.title = "t",
                                           .x_title = "x",
                                           .y_title = "y",
                                           .points = true,
                                           .log_x = log_x,
                                           .series_count = 1,
                                           .series = &series[i]});
      int ticks = count(text, "<text");
      cr_expect(ticks >= 5 && ticks < 70, "%s: %d texts", series[i].name, ticks);
      cr_expect(!strstr(text, "nan") && !strstr(text, "inf"), "%s: %s", series[i].name, text);
      check_nesting(text);
      free(text);
    }
}
