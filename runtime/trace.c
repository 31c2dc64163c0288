/* trace.c: see trace.h. */
#include "runtime/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/atomic_file.h"
#include "runtime/clock.h"

enum { CAPACITY = 1 << 15, DETAIL = 64 };

typedef struct event {
  const char *name, *category;
  double begin, end;
  char detail[DETAIL];
} event;

typedef struct track {
  _Alignas(64) event *events; /* [CAPACITY] */
  int count;
  int64_t left_out;
} track;

struct poa_trace {
  int threads, track_count;
  double start;
  track *tracks;
};

static const char *const other_names[] = {
    [POA_TRACE_RUN] = "run", [POA_TRACE_IMAGES] = "images", [POA_TRACE_COMPILE] = "compile"};

poa_status poa_trace_create(poa_trace **trace, int threads, poa_error *error) {
  poa_trace *made = *trace = calloc(1, sizeof *made);
  if (!made)
    return poa_fail(error, POA_NO_MEMORY, "no memory for a trace");
  made->threads = threads;
  made->track_count = threads + POA_TRACE_OTHERS;
  made->start = poa_seconds();
  made->tracks = aligned_alloc(64, (size_t)made->track_count * sizeof *made->tracks);
  bool whole = made->tracks != NULL;
  for (int i = 0; i < made->track_count && made->tracks; i++) {
    made->tracks[i] = (track){.events = calloc(CAPACITY, sizeof(event))};
    whole = whole && made->tracks[i].events;
  }
  if (whole)
    return POA_OK;
  poa_trace_free(made);
  *trace = NULL;
  return poa_fail(error, POA_NO_MEMORY, "no memory for a trace");
}

void poa_trace_free(poa_trace *trace) {
  if (!trace)
    return;
  for (int i = 0; i < trace->track_count && trace->tracks; i++)
    free(trace->tracks[i].events);
  free(trace->tracks);
  free(trace);
}

int poa_trace_other(const poa_trace *trace, poa_trace_track other) {
  return trace ? trace->threads + (int)other : 0;
}

void poa_trace_add(poa_trace *trace, int number, const char *name, const char *category,
                   const char *detail, double begin, double end) {
  if (!trace)
    return;
  track *t = &trace->tracks[number];
  if (t->count == CAPACITY) {
    t->left_out++;
    return;
  }
  event *e = &t->events[t->count++];
  *e = (event){.name = name, .category = category, .begin = begin, .end = end};
  if (detail)
    snprintf(e->detail, sizeof e->detail, "%s", detail);
}

/* Writing */

static void put_text(FILE *out, const char *text) {
  putc('"', out);
  for (; *text; text++)
    if (*text == '"' || *text == '\\')
      fprintf(out, "\\%c", *text);
    else if ((unsigned char)*text < ' ')
      fprintf(out, "\\u%04x", (unsigned)*text);
    else
      putc(*text, out);
  putc('"', out);
}

static void put_event(FILE *out, const poa_trace *trace, int number, const event *e) {
  fputs(",\n{\"name\":", out);
  put_text(out, e->name);
  fputs(",\"cat\":", out);
  put_text(out, e->category);
  fprintf(out, ",\"ph\":\"X\",\"ts\":%.3f,\"dur\":%.3f,\"pid\":1,\"tid\":%d",
          1e6 * (e->begin - trace->start), 1e6 * (e->end - e->begin), number);
  if (*e->detail) {
    fputs(",\"args\":{\"at\":", out);
    put_text(out, e->detail);
    putc('}', out);
  }
  putc('}', out);
}

static void put_track_name(FILE *out, const poa_trace *trace, int number) {
  char name[40];
  if (number < trace->threads)
    snprintf(name, sizeof name, "thread %d", number);
  else
    snprintf(name, sizeof name, "%s", other_names[number - trace->threads]);
  fprintf(
      out,
      "%s{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"%s\"}}",
      number ? ",\n" : "", number, name);
}

static void put_trace(FILE *out, const poa_trace *trace) {
  int64_t left_out = 0;
  fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", out);
  for (int i = 0; i < trace->track_count; i++)
    put_track_name(out, trace, i);
  for (int i = 0; i < trace->track_count; i++) {
    for (int k = 0; k < trace->tracks[i].count; k++)
      put_event(out, trace, i, &trace->tracks[i].events[k]);
    left_out += trace->tracks[i].left_out;
  }
  fprintf(out, "\n],\"otherData\":{\"events left out\":%" PRId64 "}}\n", left_out);
}

poa_status poa_trace_write(const poa_trace *trace, const char *path, poa_error *error) {
  char *text = NULL;
  size_t bytes;
  FILE *out = open_memstream(&text, &bytes);
  if (!out)
    return poa_fail(error, POA_NO_MEMORY, "no memory to write '%s'", path);
  put_trace(out, trace);
  bool whole = !ferror(out);
  whole = fclose(out) == 0 && whole;
  poa_status status = whole ? poa_write_file_atomically(path, text, bytes, error)
                            : poa_fail(error, POA_NO_MEMORY, "no memory to write '%s'", path);
  free(text);
  return status;
}
