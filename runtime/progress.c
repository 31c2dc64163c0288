/* progress.c: a live line or plain lines. */
#include "runtime/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/clock.h"

static const double live_interval = 0.1, plain_interval = 5; /* seconds between two lines */
static const double memory = 10; /* seconds over which the rate is averaged */
enum { LINE_BYTES = 300, BAR_WIDTH = 24, DEFAULT_COLUMNS = 80 };

struct poa_progress {
  FILE *out;
  poa_progress_style style;
  const char *label, *unit;
  int64_t done, total;
  double loss;
  double last_time;    /* of the last update */
  double drawn_time;   /* of the last line; negative before the first */
  double time, amount; /* decaying sums of seconds and units: their ratio is the rate */
  bool line_open;      /* the cursor is behind a live line */
};

poa_status poa_progress_create(poa_progress **progress, FILE *out, poa_progress_style style,
                               const char *label, const char *unit, int64_t done, int64_t total,
                               poa_error *error) {
  *progress = calloc(1, sizeof **progress);
  if (!*progress)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the progress line");
  if (style == POA_PROGRESS_AUTO)
    style = fileno(out) >= 0 && isatty(fileno(out)) ? POA_PROGRESS_LIVE : POA_PROGRESS_PLAIN;
  **progress = (poa_progress){.out = out,
                              .style = style,
                              .label = label,
                              .unit = unit,
                              .done = done,
                              .total = total,
                              .loss = NAN,
                              .last_time = poa_seconds(),
                              .drawn_time = -1};
  return POA_OK;
}

static int columns(FILE *out) {
  struct winsize size;
  if (fileno(out) >= 0 && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  return DEFAULT_COLUMNS;
}

typedef struct text_line {
  char text[LINE_BYTES];
  size_t used;
} text_line;

__attribute__((format(printf, 2, 3))) static void add(text_line *line, const char *format, ...) {
  size_t left = sizeof line->text - line->used;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line->text + line->used, left, format, arguments);
  va_end(arguments);
  if (length > 0)
    line->used += (size_t)length < left ? (size_t)length : left - 1;
}

static void add_bar(text_line *line, double share) {
  int filled = (int)(share * BAR_WIDTH);
  add(line, " [");
  for (int i = 0; i < BAR_WIDTH; i++)
    add(line, "%c", i < filled ? '=' : i == filled ? '>' : ' ');
  add(line, "]");
}

static void add_duration(text_line *line, double seconds) {
  int64_t whole = (int64_t)(seconds + 0.5);
  if (whole >= 3600)
    add(line, "%lld:%02d:%02d", (long long)(whole / 3600), (int)(whole / 60 % 60),
        (int)(whole % 60));
  else
    add(line, "%d:%02d", (int)(whole / 60), (int)(whole % 60));
}

/* A rate that reads well both ways: "12.3 steps/s", or "4.2 s for each of the steps". */
static void add_rate(text_line *line, double rate, const char *unit) {
  if (rate >= 1)
    add(line, "  %.*f %s/s", rate >= 100 ? 0 : 1, rate, unit);
  else
    add(line, "  %.1f %s/min", 60 * rate, unit);
}

static void compose(const poa_progress *progress, text_line *line) {
  double rate = progress->time > 0 ? progress->amount / progress->time : 0;
  add(line, "%s", progress->label);
  if (progress->total > 0) {
    double share = (double)progress->done / (double)progress->total;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    if (progress->style == POA_PROGRESS_LIVE)
      add_bar(line, share);
    add(line, " %lld/%lld %3.0f %%", (long long)progress->done, (long long)progress->total,
        floor(100 * share));
  } else {
    add(line, " %lld", (long long)progress->done);
  }
  if (rate > 0)
    add_rate(line, rate, progress->unit);
  if (!isnan(progress->loss))
    add(line, "  loss %.4f", progress->loss);
  if (rate > 0 && progress->total > progress->done) {
    add(line, "  ");
    add_duration(line, (double)(progress->total - progress->done) / rate);
    add(line, " left");
  }
}

static void draw(poa_progress *progress) {
  text_line line = {.used = 0};
  compose(progress, &line);
  if (progress->style == POA_PROGRESS_LIVE) /* never to the last column: the terminal would wrap */
    fprintf(progress->out, "\r\033[K%.*s", columns(progress->out) - 1, line.text);
  else
    fprintf(progress->out, "%s\n", line.text);
  fflush(progress->out);
  progress->line_open = progress->style == POA_PROGRESS_LIVE;
}

/* Old seconds and units fade alike, so the rate follows the last seconds: the first steps, which
 * compile, are soon forgotten. */
static void measure(poa_progress *progress, int64_t done, double time) {
  double elapsed = time - progress->last_time;
  double kept = exp(-elapsed / memory);
  progress->time = progress->time * kept + elapsed;
  progress->amount = progress->amount * kept + (double)(done - progress->done);
  progress->last_time = time;
  progress->done = done;
}

void poa_progress_update(poa_progress *progress, int64_t done, double loss) {
  double time = poa_seconds();
  measure(progress, done, time);
  progress->loss = loss;
  double interval = progress->style == POA_PROGRESS_LIVE ? live_interval : plain_interval;
  bool due = progress->drawn_time < 0 || time - progress->drawn_time >= interval ||
             (progress->total > 0 && done >= progress->total);
  if (!due || progress->style == POA_PROGRESS_NONE)
    return;
  draw(progress);
  progress->drawn_time = time;
}

void poa_progress_message(poa_progress *progress, const char *format, ...) {
  if (progress->line_open)
    fprintf(progress->out, "\r\033[K");
  va_list arguments;
  va_start(arguments, format);
  vfprintf(progress->out, format, arguments);
  va_end(arguments);
  fprintf(progress->out, "\n");
  if (progress->line_open)
    draw(progress);
  fflush(progress->out);
}

void poa_progress_finish(poa_progress *progress) {
  if (!progress)
    return;
  if (progress->line_open) {
    draw(progress); /* the last state, which may have come between two drawings */
    fprintf(progress->out, "\n");
    fflush(progress->out);
  }
  free(progress);
}
