// The load generator of the bench: N WebSocket clients in G groups, some of which publish. One thread, one epoll, Linux.
// It checks every delivery for loss, order, repetition and content, and prints one JSON line per step.
// It must not know which server it talks to, and it only ever talks to this machine (127.0.0.1).
//
// How it stays cheap (below 30 ns per delivery, else it would be the limit and not the server): large reads, no memory asked for
// per frame, and a comparison in place of parsing: a member knows which message must come next, so it looks whether it is that one.
//
// Exit codes: 0 done, 1 a check has found a fault, 2 it could not run.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

enum {
  HEAD = 32,               // bytes of a message that say who sent it, as which one, when; all in hexadecimal
  FILLERS = 64,            // the bytes after the head begin at one of so many places of one text, so that no two neighbours are alike
  READ_BYTES = 1 << 20,    // room for one read, and so the largest frame
  MESSAGE_BYTES = 900000,  // largest message; with its frame it fits into one read
  CLIENTS_MAX = 60000,
  EVENTS_MAX = 1024,
  PIDS_MAX = 64,
  RATES_MAX = 64,
  PORTS_MAX = 16,
  SOURCES = 4,             // 127.0.0.2 to 127.0.0.5: one address has fewer ports than we may have clients
  OPEN_LOOP_RING = 32768,  // messages of one publisher that may be under way at a fixed rate; more are not sent, and the step fails
  SLOW_RECEIVE_BYTES = 4096,
};
static const u64 MS = 1000000, SECOND = 1000000000;  // in ns

// ---- Options ------------------------------------------------------------------------------------------------------------

static struct {
  int clients, groups, groupsPerClient, publishers, window, size, inflight, slow, settleMs, patienceMs, limitSeconds;
  double seconds, warmSeconds, drainSeconds, capMs;
  bool isIdle, isSocketIo;
  double rates[RATES_MAX];
  int rateCount;
  int ports[PORTS_MAX];  // one of each node of the server
  int portCount;
  int pids[PIDS_MAX];  // whose CPU and memory is the server's
  int pidCount;
  int collect;         // this process collects its garbage on SIGUSR2; 0: none does
} options = {
    .clients = 1000, .groups = 1, .publishers = 1, .window = 1, .size = 128, .inflight = 200, .settleMs = 500,
    .patienceMs = 3000, .limitSeconds = 170, .seconds = 3, .warmSeconds = 1, .drainSeconds = 20, .capMs = 50,
};

static void fail(const char *format, ...) {
  va_list given;
  va_start(given, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, given);
  fputc('\n', stderr);
  va_end(given);
  exit(2);
}

static void *zeroed(size_t count, size_t size) {
  void *memory = calloc(count, size);
  if (!memory) fail("out of memory");
  return memory;
}

// ---- Time, latencies, and what the server uses ------------------------------------------------------------------------------

static u64 nowNs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (u64)t.tv_sec * SECOND + (u64)t.tv_nsec;
}

// Log-linear: 64 steps in each doubling, so a latency is known to 1.6 % from nanoseconds to hours.
enum { STEPS = 64, BUCKETS = STEPS * 48 };
static u64 histogram[BUCKETS], latencyMax;

static inline void countLatency(u64 ns) {
  if (ns > latencyMax) latencyMax = ns;
  if (ns < STEPS) {
    histogram[ns]++;
    return;
  }
  int doubling = 63 - __builtin_clzll(ns);
  int bucket = (doubling - 5) * STEPS + (int)((ns >> (doubling - 6)) & (STEPS - 1));
  histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static u64 middleOfBucket(int bucket) {
  if (bucket < STEPS) return (u64)bucket;
  int doubling = bucket / STEPS + 5;
  u64 width = 1ull << (doubling - 6);
  return (1ull << doubling) + (u64)(bucket % STEPS) * width + width / 2;
}

/** In microseconds; 0 if there was no delivery. */
static double percentile(double share) {
  u64 total = 0, seen = 0;
  for (int i = 0; i < BUCKETS; i++) total += histogram[i];
  for (int i = 0; i < BUCKETS; i++) {
    seen += histogram[i];
    if (histogram[i] > 0 && (double)seen >= share * (double)total) return (double)middleOfBucket(i) / 1e3;
  }
  return 0;
}

/** User and system time of the server's processes, seconds. A process that is gone counts no more. */
static double serverCpu(void) {
  double seconds = 0;
  double ticksPerSecond = (double)sysconf(_SC_CLK_TCK);
  for (int i = 0; i < options.pidCount; i++) {
    char path[64], text[2048];
    snprintf(path, sizeof path, "/proc/%d/stat", options.pids[i]);
    FILE *file = fopen(path, "r");
    if (!file) continue;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = 0;
    unsigned long user = 0, system = 0;
    char *afterName = strrchr(text, ')');  // a name may hold spaces and brackets
    if (afterName) sscanf(afterName + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    seconds += (double)(user + system) / ticksPerSecond;
  }
  return seconds;
}

/** Anonymous memory of the server's processes, KiB: without what files and the kernel's sockets take. */
static long serverKb(void) {
  long sum = 0;
  for (int i = 0; i < options.pidCount; i++) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", options.pids[i]);
    FILE *file = fopen(path, "r");
    if (!file) continue;
    long kb;
    while (fgets(line, sizeof line, file))
      if (sscanf(line, "RssAnon: %ld", &kb) == 1) sum += kb;
    fclose(file);
  }
  return sum;
}

/** What all cores together have been busy with since the machine began, seconds; time that another guest of the host has taken counts too. */
static double machineCpu(void) {
  unsigned long user = 0, nice = 0, system = 0, idle, waiting, interrupts = 0, softirq = 0, stolen = 0;
  FILE *file = fopen("/proc/stat", "r");
  if (!file) return 0;
  int found = fscanf(file, "cpu %lu %lu %lu %lu %lu %lu %lu %lu", &user, &nice, &system, &idle, &waiting, &interrupts, &softirq, &stolen);
  fclose(file);
  return found == 8 ? (double)(user + nice + system + interrupts + softirq + stolen) / (double)sysconf(_SC_CLK_TCK) : 0;
}

static double ownCpu(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

// ---- Clients ------------------------------------------------------------------------------------------------------------

typedef enum { NEW, CONNECTING, UPGRADING, IO_OPENING, IO_JOINING, READY, DEAD } State;

typedef struct {
  int fd;
  u8 state;
  bool isQueued;       // has something to send, and is in the list of those
  bool waitsToWrite;   // the kernel takes no more
  bool isSlow;         // reads nothing once it has joined
  u32 group;
  u32 *next;           // by publisher of its group: the sequence number that must come next
  u8 *rest;            // the beginning of a frame whose end has not come yet
  u32 restLength, restRoom;
  u8 *out;
  u32 outLength, outSent, outRoom;
} Client;

// One message under way.
typedef struct {
  char head[HEAD];
  u64 sentNs;
  u32 arrivals;
} Slot;

typedef struct {
  u32 group, column;  // it is publisher number `column` of its group
  u32 sequence;       // of the next message
  u32 outstanding;    // messages that some member has not got yet
  bool isReady;       // is in the list of those whose window has room
  Slot *ring;
} Publisher;

static Client *clients;
static Publisher *publishers;
static u32 *membersOf;  // by group; slow ones not counted
static u32 columns, ringMask, ready;
static u32 *toSend, *toPublish;
static u32 toSendCount, toPublishCount;
static int epoll, connecting, started, total;
static bool isPublishing, isOpenLoop, joinsAtOnce = true;
static u8 *readBuffer;
static char *filler;

// What a run counts. The first five are faults, and must stay 0.
static u64 gaps, duplicates, wrong, closed, unsent, deliveries, messages, reads;

static void queueToSend(Client *c) {
  if (c->isQueued) return;
  c->isQueued = true;
  toSend[toSendCount++] = (u32)(c - clients);
}

static u8 *roomToSend(Client *c, u32 bytes) {
  if (c->outLength + bytes > c->outRoom) {
    c->outRoom = (c->outLength + bytes) * 2 + 256;
    c->out = realloc(c->out, c->outRoom);
    if (!c->out) fail("out of memory");
  }
  return c->out + c->outLength;
}

static void sendBytes(Client *c, const char *bytes, u32 length) {
  memcpy(roomToSend(c, length), bytes, length);
  c->outLength += length;
  queueToSend(c);
}

static void sendFrame(Client *c, int opcode, const char *bytes, u32 length) {
  u8 *to = roomToSend(c, length + 14);
  u8 *p = to;
  *p++ = (u8)(0x80 | opcode);
  if (length < 126) {
    *p++ = (u8)(0x80 | length);
  } else if (length < 65536) {
    *p++ = 0x80 | 126;
    *p++ = (u8)(length >> 8);
    *p++ = (u8)length;
  } else {
    *p++ = 0x80 | 127;
    for (int shift = 56; shift >= 0; shift -= 8) *p++ = (u8)((u64)length >> shift);
  }
  static u32 key = 0x9e3779b9;  // as good as chance for a server that only undoes it
  key = key * 1664525 + 1013904223;
  u8 mask[4];
  memcpy(mask, &key, 4);
  memcpy(p, mask, 4);
  p += 4;
  for (u32 i = 0; i < length; i++) p[i] = (u8)bytes[i] ^ mask[i & 3];
  c->outLength += (u32)(p - to) + length;
  queueToSend(c);
}

static void watch(Client *c, int operation, bool forWriting) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLET | (forWriting ? EPOLLOUT : 0), .data.u32 = (u32)(c - clients)};
  if (epoll_ctl(epoll, operation, c->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
  c->waitsToWrite = forWriting;
}

static void lose(Client *c) {
  if (c->state == DEAD) return;
  if (c->state == READY) ready--;
  else connecting--;
  // That a server cuts off who does not read is its right.
  if (!c->isSlow) closed++;
  c->state = DEAD;
  close(c->fd);
}

static void flush(Client *c) {
  c->isQueued = false;
  if (c->state == DEAD || c->state < UPGRADING) return;
  while (c->outSent < c->outLength) {
    ssize_t sent = send(c->fd, c->out + c->outSent, c->outLength - c->outSent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      if (!c->waitsToWrite) watch(c, EPOLL_CTL_MOD, true);
      return;
    }
    if (sent < 0) {
      lose(c);
      return;
    }
    c->outSent += (u32)sent;
  }
  c->outLength = c->outSent = 0;
  if (c->waitsToWrite) watch(c, EPOLL_CTL_MOD, false);
}

static void flushAll(void) {
  for (u32 i = 0; i < toSendCount; i++) flush(&clients[toSend[i]]);
  toSendCount = 0;
}

// ---- Publishing -----------------------------------------------------------------------------------------------------------

static void hexadecimal(char *to, u64 value, int digits) {
  for (int i = digits - 1; i >= 0; i--, value >>= 4) to[i] = "0123456789abcdef"[value & 15];
}

static void publish(Publisher *p, u64 sentNs) {
  static char *text;
  if (!text) text = zeroed((size_t)options.size + 256, 1);
  Slot *slot = &p->ring[p->sequence & ringMask];
  hexadecimal(slot->head, (u64)(p - publishers), 8);
  hexadecimal(slot->head + 8, p->sequence, 8);
  hexadecimal(slot->head + 16, sentNs, 16);
  slot->sentNs = sentNs;
  slot->arrivals = 0;
  const char *before = options.isSocketIo ? "42[\"send_to_group\",\"%u\",\"" : "{\"cmd\":\"send_to_group\",\"group_id\":\"%u\",\"message\":\"";
  int length = snprintf(text, 256, before, p->group);
  memcpy(text + length, slot->head, HEAD);
  memcpy(text + length + HEAD, filler + (p->sequence & (FILLERS - 1)), (size_t)options.size - HEAD);
  length += options.size;
  memcpy(text + length, options.isSocketIo ? "\"]" : "\"}", 2);
  p->sequence++;
  p->outstanding++;
  sendFrame(&clients[p - publishers], 1, text, (u32)length + 2);
}

static void windowHasRoom(Publisher *p) {
  if (p->isReady) return;
  p->isReady = true;
  toPublish[toPublishCount++] = (u32)(p - publishers);
}

static void fillWindows(void) {
  u64 now = toPublishCount > 0 ? nowNs() : 0;
  for (u32 i = 0; i < toPublishCount; i++) {
    Publisher *p = &publishers[toPublish[i]];
    p->isReady = false;
    while (p->outstanding < (u32)options.window) publish(p, now);
  }
  toPublishCount = 0;
}

// ---- Checking what arrives --------------------------------------------------------------------------------------------------

/** The value of eight hexadecimal digits (lower case), all at once. What is not one gives some number, never an error. */
static inline u32 fromHexadecimal(const u8 *digits) {
  u64 x;
  memcpy(&x, digits, 8);
  x = (x & 0x0f0f0f0f0f0f0f0full) + 9 * ((x >> 6) & 0x0101010101010101ull);
  x = ((x << 4) | (x >> 8)) & 0x00ff00ff00ff00ffull;
  x = ((x << 8) | (x >> 16)) & 0x0000ffff0000ffffull;
  return (u32)((x << 16) | (x >> 32));
}

static inline bool isMessage(const u8 *text, const Slot *slot, u32 sequence) {
  u64 a[4], b[4];
  memcpy(a, text, HEAD);
  memcpy(b, slot->head, HEAD);
  if (((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])) != 0) return false;
  return memcmp(text + HEAD, filler + (sequence & (FILLERS - 1)), (size_t)options.size - HEAD) == 0;
}

static inline void arrived(Publisher *p, Slot *slot, u64 now) {
  deliveries++;
  countLatency(now > slot->sentNs ? now - slot->sentNs : 0);
  if (++slot->arrivals < membersOf[p->group]) return;
  messages++;
  p->outstanding--;
  if (isPublishing && !isOpenLoop) windowHasRoom(p);
}

/** Finds out what is wrong with a message that is not the one that had to come. */
static void examine(Client *c, const u8 *text, u64 length, u64 now) {
  u32 index = length == (u64)options.size ? fromHexadecimal(text) : UINT32_MAX;
  if (index >= (u32)options.publishers || publishers[index].group != c->group) {
    wrong++;
    return;
  }
  Publisher *p = &publishers[index];
  u32 sequence = fromHexadecimal(text + 8);
  u32 *next = &c->next[p->column];
  if (sequence >= p->sequence) {
    wrong++;  // never sent
    return;
  }
  if (sequence < *next) {
    duplicates++;  // or late: then it was counted as a gap before
    return;
  }
  gaps += sequence - *next;
  *next = sequence + 1;
  Slot *slot = &p->ring[sequence & ringMask];
  if (!isMessage(text, slot, sequence)) wrong++;
  arrived(p, slot, now);
}

/** If this is the message of `p` that must come next, takes it. */
static inline bool takeNext(Client *c, Publisher *p, const u8 *text, u64 now) {
  u32 *next = &c->next[p->column];
  Slot *slot = &p->ring[*next & ringMask];
  if (!isMessage(text, slot, *next)) return false;
  ++*next;
  arrived(p, slot, now);
  return true;
}

static inline void check(Client *c, const u8 *text, u64 length, u64 now) {
  static Publisher *last;  // messages of one publisher often come in a row, which saves reading whose it is
  if (length == (u64)options.size) {
    if (last && last->group == c->group && takeNext(c, last, text, now)) return;
    u32 index = fromHexadecimal(text);
    if (index < (u32)options.publishers && publishers[index].group == c->group) {
      last = &publishers[index];
      if (takeNext(c, last, text, now)) return;
    }
  }
  examine(c, text, length, now);
}

// ---- The protocols ----------------------------------------------------------------------------------------------------------

static void join(Client *c, u32 group) {
  char text[128];
  const char *format = options.isSocketIo ? "42[\"add_group\",\"%u\"]" : "{\"cmd\":\"add_group\",\"group_id\":\"%u\"}";
  sendFrame(c, 1, text, (u32)snprintf(text, sizeof text, format, group));
}

static void becomeReady(Client *c) {
  c->state = READY;
  connecting--;
  ready++;
  if (joinsAtOnce) join(c, c->group);
  if (!c->isSlow) return;
  flush(c);
  epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);  // from now on nobody reads what it is sent
}

/** Socket.IO: `0…` opens, `40…` admits, `2` is a ping, `42["m","…"]` is a message. */
static void onSocketIo(Client *c, const u8 *text, u64 length, u64 now) {
  static const char BEFORE[] = "42[\"m\",\"", AFTER[] = "\"]";
  enum { BEFORE_BYTES = sizeof BEFORE - 1, AFTER_BYTES = sizeof AFTER - 1 };
  bool isAround = length >= BEFORE_BYTES + AFTER_BYTES && memcmp(text, BEFORE, BEFORE_BYTES) == 0 &&
                  memcmp(text + length - AFTER_BYTES, AFTER, AFTER_BYTES) == 0;
  if (c->state == READY && isAround) {
    check(c, text + BEFORE_BYTES, length - BEFORE_BYTES - AFTER_BYTES, now);
  } else if (c->state == IO_OPENING && length > 0 && text[0] == '0') {
    sendFrame(c, 1, "40", 2);
    c->state = IO_JOINING;
  } else if (c->state == IO_JOINING && length > 1 && text[0] == '4' && text[1] == '0') {
    becomeReady(c);
  } else if (length == 1 && text[0] == '2') {
    sendFrame(c, 1, "3", 1);
  } else {
    wrong++;
  }
}

/** Any frame but a whole text: ping, close, pong; there must be nothing else. */
static void onOther(Client *c, u8 firstByte, const u8 *bytes, u32 length) {
  if (firstByte == 0x89) sendFrame(c, 10, (const char *)bytes, length);
  else if (firstByte == 0x88) lose(c);
  else if (firstByte != 0x8a) wrong++;
}

/** Handles the whole frames in `bytes`; returns how much that was. */
static u32 onFrames(Client *c, const u8 *bytes, u32 length, u64 now) {
  u32 at = 0;
  while (at + 2 <= length && c->state != DEAD) {
    const u8 *frame = bytes + at;
    u64 size = frame[1] & 127;
    u32 header = 2;
    if (size == 126) {
      if (at + 4 > length) break;
      size = (u64)frame[2] << 8 | frame[3];
      header = 4;
    } else if (size == 127) {
      if (at + 10 > length) break;
      size = 0;
      for (int i = 2; i < 10; i++) size = size << 8 | frame[i];
      header = 10;
    }
    if (size > READ_BYTES - 16) fail("the server sent a frame of %lu bytes", (unsigned long)size);
    if (at + header + size > length) break;
    at += header + (u32)size;
    if (frame[0] == 0x81 && frame[1] < 128) {  // a whole text, as it must be: not compressed, not masked
      if (options.isSocketIo) onSocketIo(c, frame + header, size, now);
      else check(c, frame + header, size, now);
    } else {
      onOther(c, frame[0], frame + header, (u32)size);
    }
  }
  return at;
}

/** Handles the answer to the upgrade, if all of it is there; returns how much that was. */
static u32 onAnswer(Client *c, const u8 *bytes, u32 length) {
  const u8 *end = memmem(bytes, length, "\r\n\r\n", 4);
  if (!end) return 0;
  if (length < 12 || memcmp(bytes, "HTTP/1.1 101", 12) != 0) fail("the server answered: %.12s", bytes);
  if (options.isSocketIo) c->state = IO_OPENING;
  else becomeReady(c);
  return (u32)(end - bytes) + 4;
}

static void keepRest(Client *c, const u8 *bytes, u32 length) {
  c->restLength = length;
  if (length == 0) return;
  if (length > c->restRoom) {
    free(c->rest);
    c->restRoom = length * 2;
    c->rest = zeroed(c->restRoom, 1);
  }
  memcpy(c->rest, bytes, length);
}

static void onReadable(Client *c) {
  while (c->state != DEAD) {
    u32 have = c->restLength, room = READ_BYTES - have;
    ssize_t count = recv(c->fd, readBuffer + have, room, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      lose(c);
      return;
    }
    if (have > 0) memcpy(readBuffer, c->rest, have);
    reads++;
    u32 length = have + (u32)count, at = 0;
    if (c->state == UPGRADING) at = onAnswer(c, readBuffer, length);
    if (c->state > UPGRADING) at += onFrames(c, readBuffer + at, length - at, nowNs());
    if (c->state == DEAD) return;
    keepRest(c, readBuffer + at, length - at);
    if ((u32)count < room) return;
  }
}

// ---- Connecting -------------------------------------------------------------------------------------------------------------

/** Members of each group, and publishers, are spread over all nodes. */
static int portOf(const Client *c) {
  int index = (int)(c - clients);
  return options.ports[(index / options.groups + index % options.groups) % options.portCount];
}

static void startClient(Client *c) {
  int index = (int)(c - clients), on = 1, few = SLOW_RECEIVE_BYTES;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) fail("socket %d: %s", index, strerror(errno));
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (c->isSlow) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
  struct linger reset = {1, 0};  // no TIME_WAIT: the next run needs the ports
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (u32)(index % SOURCES))};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)portOf(c)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0) fail("bind: %s", strerror(errno));
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) fail("connect: %s", strerror(errno));
  c->state = CONNECTING;
  connecting++;
  watch(c, EPOLL_CTL_ADD, true);
}

static void onConnected(Client *c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) fail("connect: %s", strerror(error));
  c->state = UPGRADING;
  char text[512];
  int length = snprintf(text, sizeof text,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                        options.isSocketIo ? "/socket.io/?EIO=4&transport=websocket" : "/", portOf(c));
  sendBytes(c, text, (u32)length);
}

// ---- The loop ---------------------------------------------------------------------------------------------------------------

/** Sends what is to be sent, waits at most so long, and handles what has come. */
static void turn(u64 waitNs) {
  static struct epoll_event events[EVENTS_MAX];
  flushAll();
  int count = epoll_wait(epoll, events, EVENTS_MAX, 0);
  if (count == 0 && waitNs > 0) {
    // epoll_wait counts in ms, which is too coarse for a fixed rate.
    struct timespec wait = {(time_t)(waitNs / SECOND), (long)(waitNs % SECOND)};
    struct pollfd self = {.fd = epoll, .events = POLLIN};
    if (ppoll(&self, 1, &wait, NULL) > 0) count = epoll_wait(epoll, events, EVENTS_MAX, 0);
  }
  for (int i = 0; i < count; i++) {
    Client *c = &clients[events[i].data.u32];
    if (c->state == DEAD) continue;
    if (c->state == CONNECTING) {
      onConnected(c);
      continue;
    }
    if ((events[i].events & EPOLLOUT) && c->outLength > 0) queueToSend(c);
    if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) onReadable(c);
  }
  if (isPublishing && !isOpenLoop) fillWindows();
  flushAll();
}

// At a fixed rate: when the next message is due, whoever is still busy with the last one.
static double dueNs, dueEveryNs;
static u32 turnOf;

/** Publishes what is due, each with the time that it was due at; returns the time until the next one. */
static u64 publishDue(void) {
  double now = (double)nowNs();
  if (dueNs == 0) dueNs = now;
  while (dueNs <= now) {
    Publisher *p = &publishers[turnOf++ % (u32)options.publishers];
    if (p->outstanding < ringMask) publish(p, (u64)dueNs);
    else unsent++;
    dueNs += dueEveryNs;
  }
  double left = dueNs - (double)nowNs();
  return left > 0 ? (u64)left : 0;
}

static long kbPeak;

static void runFor(double seconds) {
  u64 end = nowNs() + (u64)(seconds * 1e9), sampleAt = 0;
  for (u64 now; (now = nowNs()) < end;) {
    if (now >= sampleAt) {
      long kb = serverKb();
      if (kb > kbPeak) kbPeak = kb;
      sampleAt = now + 100 * MS;
    }
    u64 wait = isPublishing && isOpenLoop ? publishDue() : 2 * MS;
    turn(wait < 2 * MS ? wait : 2 * MS);
  }
}

/** Lets everything arrive that is under way; false: something did not. Gives up when nothing comes for a while, or too much. */
static bool drain(void) {
  isPublishing = false;
  u64 began = nowNs(), movedAt = began, seen = deliveries;
  for (;;) {
    u64 outstanding = 0;
    for (int i = 0; i < options.publishers; i++) outstanding += publishers[i].outstanding;
    if (outstanding == 0) break;
    turn(5 * MS);
    u64 now = nowNs();
    if (deliveries != seen) movedAt = now;
    seen = deliveries;
    if (now - movedAt > (u64)options.patienceMs * MS || now - began > (u64)(options.drainSeconds * 1e9)) return false;
  }
  runFor(0.05);  // what comes twice comes late
  return true;
}

static u64 countMissing(void) {
  u64 missing = 0;
  for (int i = 0; i < options.clients; i++)
    for (u32 column = 0; column < columns; column++) {
      u32 index = column * (u32)options.groups + clients[i].group;
      if (index < (u32)options.publishers) missing += publishers[index].sequence - clients[i].next[column];
    }
  return missing;
}

// ---- Steps ------------------------------------------------------------------------------------------------------------------

static long kbAtStart, kbWhenReady;

typedef struct {
  bool isHeld;   // all of it arrived, and 99 % in time
  bool isOver;   // the server cannot catch up: further steps would measure its backlog
} Outcome;

/** Measures one step and prints its line. Rate 0: each publisher keeps its window full. */
static Outcome step(double rate) {
  isOpenLoop = rate > 0;
  dueNs = 0;
  dueEveryNs = rate > 0 ? 1e9 / rate : 0;
  isPublishing = true;
  if (!isOpenLoop)
    for (int i = 0; i < options.publishers; i++) windowHasRoom(&publishers[i]);
  runFor(options.warmSeconds);

  memset(histogram, 0, sizeof histogram);
  latencyMax = 0;
  u64 deliveries0 = deliveries, messages0 = messages, reads0 = reads, unsent0 = unsent, began = nowNs();
  double server0 = serverCpu(), own0 = ownCpu(), machine0 = machineCpu();
  runFor(options.seconds);
  double seconds = (double)(nowNs() - began) / 1e9, server = serverCpu() - server0, own = ownCpu() - own0;
  double others = machineCpu() - machine0 - server - own;
  double delivered = (double)(deliveries - deliveries0), readCount = (double)(reads - reads0), p99 = percentile(0.99);

  printf("{\"mode\":\"run\",\"clients\":%d,\"groups\":%d,\"publishers\":%d,\"window\":%d,\"rate\":%.0f,\"bytes\":%d,\"slow\":%d,", options.clients,
         options.groups, options.publishers, isOpenLoop ? 0 : options.window, rate, options.size, options.slow);
  printf("\"seconds\":%.3f,\"deliveriesPerSecond\":%.0f,\"messagesPerSecond\":%.1f,\"framesPerRead\":%.2f,", seconds, delivered / seconds,
         (double)(messages - messages0) / seconds, readCount > 0 ? delivered / readCount : 0);
  printf("\"p50Us\":%.1f,\"p90Us\":%.1f,\"p99Us\":%.1f,\"maxUs\":%.1f,", percentile(0.5), percentile(0.9), p99, (double)latencyMax / 1e3);
  printf("\"serverCpuSeconds\":%.2f,\"cpuPerMillion\":%.5f,\"serverCores\":%.3f,\"loadCores\":%.3f,\"otherCores\":%.3f,", server,
         delivered > 0 ? server / delivered * 1e6 : 0, server / seconds, own / seconds, others > 0 ? others / seconds : 0);

  bool isDrained = drain();
  u64 missing = countMissing();
  // What was due within the last moments may rightly be under way still.
  double due = rate * (seconds - options.capMs / 1e3) * (double)options.clients / options.groups;
  Outcome outcome = {
      .isHeld = isDrained && missing + gaps + duplicates + wrong + closed == 0 && unsent == unsent0 && p99 <= options.capMs * 1e3 && delivered >= 0.99 * due,
      .isOver = !isDrained || closed > 0,
  };
  printf("\"missing\":%lu,\"gaps\":%lu,\"duplicates\":%lu,\"wrong\":%lu,\"closed\":%lu,\"unsent\":%lu,\"drained\":%s,\"held\":%s,", missing, gaps,
         duplicates, wrong, closed, unsent - unsent0, isDrained ? "true" : "false", outcome.isHeld ? "true" : "false");
  printf("\"kbAtStart\":%ld,\"kbWhenReady\":%ld,\"kbPeak\":%ld}\n", kbAtStart, kbWhenReady, kbPeak);
  fflush(stdout);
  return outcome;
}

/** Rising rates: ends after two in a row that were not held. */
static void stepThroughRates(void) {
  int failed = 0;
  for (int i = 0; i < options.rateCount && failed < 2; i++) {
    Outcome outcome = step(options.rates[i]);
    failed = outcome.isHeld ? 0 : failed + 1;
    if (outcome.isOver) return;
  }
}

/** Server memory, KiB, once it has thrown away what it needs no more. */
static long kbAfterCollection(void) {
  if (options.collect > 0) {
    kill(options.collect, SIGUSR2);
    runFor(1);
  }
  return serverKb();
}

static void connectAll(void) {
  u64 giveUpAt = nowNs() + 60 * SECOND;
  while (ready < (u32)total) {
    while (started < total && connecting < options.inflight) startClient(&clients[started++]);
    turn(2 * MS);
    if (nowNs() > giveUpAt) fail("only %u of %d clients are connected after 60 s", ready, total);
    if (closed > 0) fail("the server closed a connection while the others came");
  }
}

/** Connects and waits: what a connection, and then a membership, costs. */
static void stayIdle(void) {
  joinsAtOnce = false;
  double cpu0 = serverCpu();
  u64 began = nowNs();
  connectAll();
  double seconds = (double)(nowNs() - began) / 1e9, cpu = serverCpu() - cpu0;
  runFor(options.settleMs / 1e3);
  long kbAsItIs = serverKb(), kbConnected = kbAfterCollection(), kbJoined = kbConnected;
  int memberships = options.clients * options.groupsPerClient;
  if (memberships > 0) {
    for (int i = 0; i < options.clients; i++)
      for (int k = 0; k < options.groupsPerClient; k++) join(&clients[i], (u32)((i + k) % options.groups));
    runFor(options.settleMs / 1e3);
    kbJoined = kbAfterCollection();
  }
  printf("{\"mode\":\"idle\",\"clients\":%d,\"groups\":%d,\"memberships\":%d,", options.clients, options.groups, memberships);
  printf("\"handshakesPerSecond\":%.0f,\"cpuUsPerHandshake\":%.2f,", options.clients / seconds, cpu / options.clients * 1e6);
  printf("\"kbAtStart\":%ld,\"kbAsItIs\":%ld,\"kbConnected\":%ld,\"kbJoined\":%ld,", kbAtStart, kbAsItIs, kbConnected, kbJoined);
  printf("\"bytesPerConnectionAsItIs\":%.0f,", (double)(kbAsItIs - kbAtStart) * 1024 / options.clients);
  printf("\"bytesPerConnection\":%.0f,", (double)(kbConnected - kbAtStart) * 1024 / options.clients);
  printf("\"bytesPerMembership\":%.0f,", memberships > 0 ? (double)(kbJoined - kbConnected) * 1024 / memberships : 0);
  printf("\"missing\":0,\"gaps\":0,\"duplicates\":0,\"wrong\":%lu,\"closed\":%lu,\"drained\":true}\n", wrong, closed);
  fflush(stdout);
}

// ---- Beginning --------------------------------------------------------------------------------------------------------------

static int readList(const char *text, double *to, int max) {
  int count = 0;
  for (char *end; *text && count < max; text = *end == ',' ? end + 1 : end) {
    to[count++] = strtod(text, &end);
    if (end == text || (*end && *end != ',')) fail("a list of numbers, separated by commas: %s", text);
  }
  return count;
}

static void readPorts(const char *text) {
  double numbers[PORTS_MAX];
  int count = readList(text, numbers, PORTS_MAX);
  for (int i = 0; i < count; i++) {
    if (numbers[i] < 1 || numbers[i] > 65535) return;  // said with the other checks
    options.ports[i] = (int)numbers[i];
  }
  options.portCount = count;
}

static void readPids(const char *text) {
  double numbers[PIDS_MAX];
  options.pidCount = readList(text, numbers, PIDS_MAX);
  for (int i = 0; i < options.pidCount; i++) options.pids[i] = (int)numbers[i];
}

static void readOptions(int count, char **words) {
  static const struct option names[] = {
      {"port", 1, 0, 'p'},     {"clients", 1, 0, 'n'}, {"groups", 1, 0, 'g'},  {"groups-per-conn", 1, 0, 'k'}, {"publishers", 1, 0, 'P'},
      {"window", 1, 0, 'w'},   {"rates", 1, 0, 'r'},   {"size", 1, 0, 's'},    {"seconds", 1, 0, 't'},         {"warm", 1, 0, 'W'},
      {"settle-ms", 1, 0, 'S'}, {"inflight", 1, 0, 'f'}, {"slow", 1, 0, 'l'},    {"cap-ms", 1, 0, 'c'},          {"protocol", 1, 0, 'x'},
      {"mode", 1, 0, 'm'},     {"pids", 1, 0, 'i'},    {"collect", 1, 0, 'C'}, {"limit", 1, 0, 'L'},           {"patience-ms", 1, 0, 'q'},
      {"drain", 1, 0, 'd'},    {0, 0, 0, 0}};
  for (int option; (option = getopt_long(count, words, "", names, NULL)) != -1;) switch (option) {
      case 'p': readPorts(optarg); break;
      case 'n': options.clients = atoi(optarg); break;
      case 'g': options.groups = atoi(optarg); break;
      case 'k': options.groupsPerClient = atoi(optarg); break;
      case 'P': options.publishers = atoi(optarg); break;
      case 'w': options.window = atoi(optarg); break;
      case 'r': options.rateCount = readList(optarg, options.rates, RATES_MAX); break;
      case 's': options.size = atoi(optarg); break;
      case 't': options.seconds = atof(optarg); break;
      case 'W': options.warmSeconds = atof(optarg); break;
      case 'S': options.settleMs = atoi(optarg); break;
      case 'f': options.inflight = atoi(optarg); break;
      case 'l': options.slow = atoi(optarg); break;
      case 'c': options.capMs = atof(optarg); break;
      case 'x': options.isSocketIo = strcmp(optarg, "socket.io") == 0; break;
      case 'm': options.isIdle = strcmp(optarg, "idle") == 0; break;
      case 'i': readPids(optarg); break;
      case 'C': options.collect = atoi(optarg); break;
      case 'q': options.patienceMs = atoi(optarg); break;
      case 'd': options.drainSeconds = atof(optarg); break;
      case 'L': options.limitSeconds = atoi(optarg); break;
      default: exit(2);
    }
  total = options.clients + options.slow;
  if (options.portCount == 0) fail("--port: 1 to 65535, at most %d with commas between", PORTS_MAX);
  if (options.clients < 1 || options.slow < 0 || total > CLIENTS_MAX) fail("--clients, with --slow: 1 to %d", CLIENTS_MAX);
  if (options.groups < 1 || options.groups > options.clients) fail("--groups: 1 to the number of clients");
  if (options.groupsPerClient < 0 || options.groupsPerClient > options.groups) fail("--groups-per-conn: 0 to the number of groups");
  if (options.groupsPerClient > 0 && !options.isIdle) fail("--groups-per-conn is for --mode idle");
  if (options.publishers < 1 || options.publishers > options.clients) fail("--publishers: 1 to the number of clients");
  if (options.window < 1 || options.window > OPEN_LOOP_RING / 2) fail("--window: 1 to %d", OPEN_LOOP_RING / 2);
  if (options.size < HEAD || options.size > MESSAGE_BYTES) fail("--size: %d to %d", HEAD, MESSAGE_BYTES);
  if (options.inflight < 1) fail("--inflight: at least 1");
  for (int i = 0; i < options.rateCount; i++)
    if (options.rates[i] <= 0 || options.rates[i] > 1e6) fail("--rates: above 0, at most 1000000");
}

static u32 ringSize(void) {
  u32 wanted = (u32)options.window * 2;
  // With very many publishers each has little under way, and the rings should not need gigabytes.
  if (options.rateCount > 0) wanted = options.publishers <= 64 ? OPEN_LOOP_RING : 512;
  u32 size = 2;
  while (size < wanted) size *= 2;
  return size;
}

static void makeClients(void) {
  clients = zeroed((size_t)total, sizeof *clients);
  publishers = zeroed((size_t)options.publishers, sizeof *publishers);
  membersOf = zeroed((size_t)options.groups, sizeof *membersOf);
  toSend = zeroed((size_t)total, sizeof *toSend);
  toPublish = zeroed((size_t)options.publishers, sizeof *toPublish);
  readBuffer = zeroed(READ_BYTES, 1);
  filler = zeroed((size_t)options.size + FILLERS, 1);
  for (int i = 0; i < options.size + FILLERS; i++) filler[i] = (char)('a' + (i * 7 + i / 26) % 26);
  columns = (u32)((options.publishers + options.groups - 1) / options.groups);
  u32 *next = zeroed((size_t)total * columns, sizeof *next);
  for (int i = 0; i < total; i++) {
    clients[i].group = (u32)(i % options.groups);
    clients[i].next = next + (size_t)i * columns;
    clients[i].isSlow = i >= options.clients;
    if (!clients[i].isSlow) membersOf[clients[i].group]++;
  }
  u32 size = ringSize();
  ringMask = size - 1;
  for (int i = 0; i < options.publishers; i++) {  // publisher i is client i, so it is a member of its own group
    publishers[i].group = (u32)(i % options.groups);
    publishers[i].column = (u32)(i / options.groups);
    publishers[i].ring = zeroed(size, sizeof(Slot));
  }
}

static void raiseFileLimit(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < (rlim_t)total + 16) fail("%d clients need as many files, the limit is %lu (ulimit -n)", total, (unsigned long)limit.rlim_max);
}

int main(int count, char **words) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // who started it reads its lines: without them there is no use in going on
  readOptions(count, words);
  alarm((unsigned)options.limitSeconds);
  raiseFileLimit();
  makeClients();
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (options.isIdle) {
    kbAtStart = kbAfterCollection();
    stayIdle();
  } else {
    kbAtStart = serverKb();
    connectAll();
    runFor(options.settleMs / 1e3);
    kbWhenReady = serverKb();
    kbPeak = 0;
    if (options.rateCount > 0) stepThroughRates();
    else step(0);
  }
  return gaps + duplicates + wrong > 0 ? 1 : 0;
}
