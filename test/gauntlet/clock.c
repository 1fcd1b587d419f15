/*
 * Preloaded into a redis-server: sets its wall clock off by as many milliseconds as the file that CLOCK_OFFSET names
 * holds, a 64-bit number that may change at any time. With CLOCK_AT the file holds the time itself, in microseconds since
 * 1970, and the clock stands still between two changes. Time spans are measured by the monotonic clock, which stays.
 *
 * (libfaketime does the same and more, and hangs in a process whose allocator reads the clock, as Redis' does.)
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *map_file(const char *name) {
  const char *path = getenv(name);
  int file = path ? open(path, O_RDONLY) : -1;
  if (file < 0) return 0;
  void *map = mmap(0, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  return map == MAP_FAILED ? 0 : map;
}

static void set(struct timespec *now, int64_t nanoseconds) {
  now->tv_sec = nanoseconds / 1000000000;
  now->tv_nsec = nanoseconds % 1000000000;
}

int clock_gettime(clockid_t id, struct timespec *now) {
  static const volatile int64_t *offset, *at;
  int failed = (int)syscall(SYS_clock_gettime, id, now);
  if (failed || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return failed;
  if (!offset && !at) {
    at = map_file("CLOCK_AT");
    if (!at) offset = map_file("CLOCK_OFFSET");
  }
  if (at) set(now, *at * 1000);
  else if (offset) set(now, (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + *offset * 1000000);
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec precise;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
