/* guess - see guess.h.
 * Everything is counted in words of one form; a word tells whom it counts, since when, and how much, so that a reader never puts a
 * count to the wrong name, whatever the owner writes meanwhile. The window slides in sixths: a word collects the
 * failures of one sixth and counts until the window has passed since its beginning.
 *
 *   word:  [ tag 26 bits | since 26 bits, seconds | count 12 bits ]   count 0: free
 *
 * Only the column's own worker stores to it (and the supervisor, once that worker is dead, to its open attempts). What a
 * worker has counted another cannot take back: what is forgiven is counted too, by whoever forgives, for the same sixth, and
 * subtracted, so both fade together.
 */
#include "frontend/guess.h"
#include "frontend/address.h"
#include <ctype.h>
#include <stdatomic.h>
#include <stddef.h>

#define WAYS       16
#define SIXTHS     6
#define COUNT_BITS 12
#define SINCE_BITS 26
#define TAG_SHIFT  (COUNT_BITS + SINCE_BITS)
#define SINCE_MASK ((1u << SINCE_BITS) - 1)
#define ANY_TIME   UINT32_MAX

_Static_assert(GUESS_COUNT_MAX == (1 << COUNT_BITS) - 1, "what fits into a word");

enum { PLACE_ROWS = 1024, USER_ROWS = 2048, KNOWN_ROWS = 2048, OPEN_ROWS = 256 };

/* A table each for places, users, prints, successes and open attempts: a crowd in one pushes nobody out of another. */
struct guess_column {
	_Atomic uint64_t places[PLACE_ROWS][WAYS];
	_Atomic uint64_t users[USER_ROWS][WAYS];
	_Atomic uint64_t prints[PLACE_ROWS][WAYS];
	_Atomic uint64_t known[KNOWN_ROWS][WAYS];
	_Atomic uint64_t open[OPEN_ROWS][WAYS];
};

enum kind {
	FAILED_PLACE,
	FAILED_NETWORK,
	FAILED_USER,
	FAILED_PAIR,
	FORGIVEN_PLACE, /* in the order of the failed */
	FORGIVEN_NETWORK,
	FORGIVEN_USER,
	FORGIVEN_PAIR,
	PRINT,
	KNOWN_PLACE, /* somebody has logged in there */
	KNOWN_PAIR,
	OPEN,
	KINDS
};
#define FORGIVEN(failed) ((enum kind)((failed) + FORGIVEN_PLACE))

struct table {
	size_t offset, rows;
};

#define TABLE(member, count)                                                                       \
	{                                                                                          \
		offsetof(struct guess_column, member), count                                       \
	}

static const struct table tables[KINDS] = {
	[FAILED_PLACE] = TABLE(places, PLACE_ROWS),
	[FAILED_NETWORK] = TABLE(places, PLACE_ROWS),
	[FAILED_USER] = TABLE(users, USER_ROWS),
	[FAILED_PAIR] = TABLE(users, USER_ROWS),
	[FORGIVEN_PLACE] = TABLE(places, PLACE_ROWS),
	[FORGIVEN_NETWORK] = TABLE(places, PLACE_ROWS),
	[FORGIVEN_USER] = TABLE(users, USER_ROWS),
	[FORGIVEN_PAIR] = TABLE(users, USER_ROWS),
	[PRINT] = TABLE(prints, PLACE_ROWS),
	[KNOWN_PLACE] = TABLE(known, KNOWN_ROWS),
	[KNOWN_PAIR] = TABLE(known, KNOWN_ROWS),
	[OPEN] = TABLE(open, OPEN_ROWS),
};

size_t guess_size(unsigned workers)
{
	return workers * sizeof(struct guess_column);
}

static struct guess_column *column_of(const struct shared *shared, unsigned worker)
{
	return (struct guess_column *)shared_section(shared, SHARED_GUESSES) + worker;
}

void guess_worker_died(struct shared *shared, unsigned worker)
{
	struct guess_column *column = column_of(shared, worker);

	for (size_t row = 0; row < OPEN_ROWS; row++)
		for (size_t i = 0; i < WAYS; i++)
			atomic_store_explicit(&column->open[row][i], 0, memory_order_relaxed);
}

/* ---- words ---- */

static uint64_t load(_Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t tag, uint32_t since, unsigned count)
{
	uint64_t value = tag << TAG_SHIFT | (uint64_t)since << COUNT_BITS | count;

	atomic_store_explicit(word, count == 0 ? 0 : value, memory_order_relaxed);
}

static unsigned word_count(uint64_t word)
{
	return word & GUESS_COUNT_MAX;
}

static uint32_t word_since(uint64_t word)
{
	return word >> COUNT_BITS & SINCE_MASK;
}

static uint32_t lifetime(const struct guess_view *view, enum kind kind)
{
	switch (kind) {
	case KNOWN_PLACE:
	case KNOWN_PAIR:
		return GUESS_KNOWN_SECONDS;
	case OPEN:
		return SINCE_MASK;
	default:
		return (uint32_t)view->policy->window;
	}
}

/* What counts nobody, or has faded. A beginning in the future is nonsense: so long ago that it has faded, too. */
static bool word_dead(const struct guess_view *view, enum kind kind, uint64_t word)
{
	return word_count(word) == 0 ||
	       ((view->now - word_since(word)) & SINCE_MASK) >= lifetime(view, kind);
}

static _Atomic uint64_t *row_of(const struct guess_view *view, unsigned worker, enum kind kind,
				uint64_t id, uint64_t *tag)
{
	const uint64_t words[] = { kind, id };
	uint64_t hash = hash_words(shared_key(view->shared), words, 2);
	char *table = (char *)column_of(view->shared, worker) + tables[kind].offset;

	*tag = hash >> TAG_SHIFT;
	return (_Atomic uint64_t *)(void *)table + (hash & (tables[kind].rows - 1)) * WAYS;
}

/* Over all workers; of those that began at `since`, or at any time. */
static unsigned sum(const struct guess_view *view, enum kind kind, uint64_t id, uint32_t since)
{
	unsigned total = 0;
	uint64_t tag;

	for (unsigned worker = 0; worker < shared_workers(view->shared); worker++) {
		_Atomic uint64_t *row = row_of(view, worker, kind, id, &tag);

		for (size_t i = 0; i < WAYS; i++) {
			uint64_t word = load(&row[i]);

			if (word >> TAG_SHIFT == tag && !word_dead(view, kind, word) &&
			    (since == ANY_TIME || word_since(word) == since))
				total += word_count(word);
		}
	}
	return total;
}

/* a gives way before b: the free and faded first, then the least, then the oldest. */
static bool gives_way(const struct guess_view *view, enum kind kind, uint64_t a, uint64_t b)
{
	bool dead_a = word_dead(view, kind, a), dead_b = word_dead(view, kind, b);

	if (dead_a || dead_b)
		return dead_a && !dead_b;
	if (word_count(a) != word_count(b))
		return word_count(a) < word_count(b);
	return ((view->now - word_since(a)) & SINCE_MASK) >
	       ((view->now - word_since(b)) & SINCE_MASK);
}

/* Our own word for that id and time, or the one to take for it. */
static _Atomic uint64_t *own_word(const struct guess_view *view, enum kind kind, uint64_t id,
				  uint32_t since, uint64_t *tag)
{
	_Atomic uint64_t *row = row_of(view, view->worker, kind, id, tag), *least = &row[0];

	for (size_t i = 0; i < WAYS; i++) {
		uint64_t word = load(&row[i]);

		if (word >> TAG_SHIFT == *tag && word_count(word) > 0 &&
		    (since == ANY_TIME || word_since(word) == since))
			return &row[i];
		if (gives_way(view, kind, word, load(least)))
			least = &row[i];
	}
	return least;
}

static bool word_is(uint64_t word, uint64_t tag, uint32_t since)
{
	return word_count(word) > 0 && word >> TAG_SHIFT == tag && word_since(word) == since;
}

static void add(const struct guess_view *view, enum kind kind, uint64_t id, uint32_t since,
		unsigned count)
{
	uint64_t tag, word;
	_Atomic uint64_t *own = own_word(view, kind, id, since, &tag);

	word = load(own);
	if (word_is(word, tag, since))
		count += word_count(word);
	store(own, tag, since, count < GUESS_COUNT_MAX ? count : GUESS_COUNT_MAX);
}

/* Now, in place of an earlier time. */
static void mark(const struct guess_view *view, enum kind kind, uint64_t id)
{
	uint64_t tag;
	_Atomic uint64_t *own = own_word(view, kind, id, ANY_TIME, &tag);

	store(own, tag, view->now & SINCE_MASK, 1);
}

/* ---- an attempt ---- */

enum { OF_PLACE = 1, OF_NETWORK, OF_USER, OF_PAIR, OF_PASSWORD, OF_PRINT };

static uint64_t hash_of(const struct guess_view *view, uint64_t what, uint64_t a, uint64_t b)
{
	const uint64_t words[] = { what, a, b };

	return hash_words(shared_key(view->shared), words, 3) | 1; /* 0 stands for: not known */
}

void guess_attempt_init(struct guess_attempt *attempt, const struct guess_view *view,
			const struct sockaddr *address, bool exempt)
{
	const struct address_key place = address_key(address);
	uint64_t network = place.number;

	/* in the order of the network: the first three octets, of an IPv6 prefix the first six */
	memset((char *)&network + (place.family == AF_INET ? 3 : 6), 0,
	       sizeof(network) - (place.family == AF_INET ? 3 : 6));
	*attempt = (struct guess_attempt) {
		.place = hash_of(view, OF_PLACE, place.family, place.number),
		.network = hash_of(view, OF_NETWORK, place.family, network),
		.exempt = exempt,
	};
}

void guess_attempt_name(struct guess_attempt *attempt, const struct guess_view *view,
			struct span user, struct span password)
{
	const struct hash_key *key = shared_key(view->shared);
	char folded[CREDENTIAL_USER_MAX];
	size_t len = user.len < sizeof(folded) ? user.len : sizeof(folded);

	/* Most stores do not tell Alice from alice. */
	for (size_t i = 0; i < len; i++)
		folded[i] = (char)tolower((unsigned char)user.data[i]);
	attempt->user = hash_of(view, OF_USER, hash_bytes(key, folded, len), 0);
	attempt->pair = hash_of(view, OF_PAIR, attempt->user, attempt->place);
	if (password.len > 0)
		attempt->print = hash_of(view, OF_PASSWORD, attempt->pair,
					 hash_bytes(key, password.data, password.len));
}

void guess_attempt_response(struct guess_attempt *attempt, const struct guess_view *view,
			    struct span response)
{
	uint64_t before = attempt->print ? attempt->print : attempt->place;

	attempt->print = hash_of(view, OF_PRINT, before,
				 hash_bytes(shared_key(view->shared), response.data, response.len));
}

/* ---- what follows from it ---- */

static uint64_t id_of(const struct guess_attempt *attempt, enum kind failed)
{
	switch (failed) {
	case FAILED_PLACE:
		return attempt->place;
	case FAILED_NETWORK:
		return attempt->network;
	case FAILED_USER:
		return attempt->user;
	default:
		return attempt->pair;
	}
}

static unsigned failures(const struct guess_view *view, const struct guess_attempt *attempt,
			 enum kind failed)
{
	uint64_t id = id_of(attempt, failed);
	unsigned all, forgiven;

	if (id == 0)
		return 0;
	all = sum(view, failed, id, ANY_TIME);
	forgiven = all > 0 ? sum(view, FORGIVEN(failed), id, ANY_TIME) : 0;
	return all > forgiven ? all - forgiven : 0;
}

unsigned guess_count_place(const struct guess_view *view, const struct guess_attempt *attempt)
{
	return failures(view, attempt, FAILED_PLACE);
}

unsigned guess_count_user(const struct guess_view *view, const struct guess_attempt *attempt)
{
	return failures(view, attempt, FAILED_USER);
}

/* Has logged in from here before, and does not fail here now as somebody would who only uses the name. */
static bool is_known(const struct guess_view *view, const struct guess_attempt *attempt)
{
	unsigned bound = view->policy->delay_from > 0 ? (unsigned)view->policy->delay_from : 1;

	return attempt->pair != 0 && sum(view, KNOWN_PAIR, attempt->pair, ANY_TIME) > 0 &&
	       failures(view, attempt, FAILED_PAIR) < bound;
}

static unsigned delay_for(const struct config_guessing *policy, unsigned count, int from)
{
	unsigned most = (unsigned)policy->delay_max, delay = (unsigned)policy->delay;

	if (from == 0 || count < (unsigned)from)
		return 0;
	for (unsigned i = (unsigned)from; i < count && delay < most && delay > 0; i++)
		delay *= 2;
	return delay < most ? delay : most;
}

static unsigned larger(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

static enum guess_answer check_place(const struct guess_view *view,
				     const struct guess_attempt *attempt, bool name_follows,
				     unsigned *delay)
{
	const struct config_guessing *policy = view->policy;
	unsigned most = (unsigned)policy->refuse_from;
	unsigned failed = failures(view, attempt, FAILED_PLACE);
	unsigned network = failures(view, attempt, FAILED_NETWORK);

	*delay = larger(delay_for(policy, failed, policy->delay_from),
			delay_for(policy, network / GUESS_NETWORK_WEIGHT, policy->delay_from));
	if (most == 0)
		return GUESS_GO;
	if (failed >= most) {
		/* Among those behind that address may be somebody we know. */
		if (name_follows && sum(view, KNOWN_PLACE, attempt->place, ANY_TIME) > 0)
			return GUESS_GO;
		return GUESS_REFUSE;
	}
	if (!attempt->open && !name_follows &&
	    failed + sum(view, OPEN, attempt->place, ANY_TIME) >= most)
		return GUESS_WAIT;
	return GUESS_GO;
}

enum guess_answer guess_check(const struct guess_view *view, const struct guess_attempt *attempt,
			      bool name_follows, unsigned *delay)
{
	enum guess_answer answer = GUESS_GO;

	*delay = 0;
	if (is_known(view, attempt))
		return GUESS_GO;
	if (!attempt->exempt)
		answer = check_place(view, attempt, name_follows, delay);
	*delay = larger(*delay, delay_for(view->policy, failures(view, attempt, FAILED_USER),
					  view->policy->user_delay_from));
	if (name_follows)
		*delay = 0;
	return answer;
}

void guess_begin(const struct guess_view *view, struct guess_attempt *attempt)
{
	if (attempt->open || attempt->exempt)
		return;
	attempt->open = true;
	add(view, OPEN, attempt->place, 0, 1);
}

void guess_end(const struct guess_view *view, struct guess_attempt *attempt)
{
	uint64_t tag, word;
	_Atomic uint64_t *own;

	if (!attempt->open)
		return;
	attempt->open = false;
	own = own_word(view, OPEN, attempt->place, 0, &tag);
	word = load(own);
	if (word_is(word, tag, 0)) /* else it gave way to another */
		store(own, tag, 0, word_count(word) - 1);
}

/* ---- verdicts ---- */

static uint32_t sixth(const struct guess_view *view)
{
	uint32_t length = (uint32_t)view->policy->window / SIXTHS;

	return length > 0 ? length : 1;
}

static uint32_t sixth_now(const struct guess_view *view)
{
	uint32_t now = view->now & SINCE_MASK;

	return now - now % sixth(view);
}

static void tell(struct guess_news *news, size_t *count, const char *scope, const char *answer,
		 unsigned failed, unsigned threshold)
{
	if (threshold > 0 && failed == threshold)
		news[(*count)++] = (struct guess_news) { scope, answer, failed };
}

/* Counts one more and returns how many there are. */
static unsigned count_failure(const struct guess_view *view, const struct guess_attempt *attempt,
			      enum kind failed)
{
	if (id_of(attempt, failed) == 0)
		return 0;
	add(view, failed, id_of(attempt, failed), sixth_now(view), 1);
	return failures(view, attempt, failed);
}

bool guess_failed(const struct guess_view *view, const struct guess_attempt *attempt,
		  struct guess_news news[GUESS_NEWS_MAX], size_t *count)
{
	const struct config_guessing *policy = view->policy;
	unsigned delay_from = (unsigned)policy->delay_from;
	bool repeated = attempt->print != 0 && sum(view, PRINT, attempt->print, ANY_TIME) > 0;

	*count = 0;
	if (attempt->print != 0)
		mark(view, PRINT, attempt->print);
	if (repeated)
		return false;
	if (!attempt->exempt) {
		unsigned place = count_failure(view, attempt, FAILED_PLACE);
		unsigned network = count_failure(view, attempt, FAILED_NETWORK);

		tell(news, count, "address", "delay", place, delay_from);
		tell(news, count, "address", "refuse", place, (unsigned)policy->refuse_from);
		tell(news, count, "network", "delay", network, delay_from * GUESS_NETWORK_WEIGHT);
	}
	count_failure(view, attempt, FAILED_PAIR);
	tell(news, count, "user", "delay", count_failure(view, attempt, FAILED_USER),
	     (unsigned)policy->user_delay_from);
	return true;
}

/* Sixth by sixth, as many as failed then and are not forgiven yet. */
static void forgive(const struct guess_view *view, const struct guess_attempt *attempt)
{
	uint32_t since = sixth_now(view);

	for (unsigned i = 0; i < SIXTHS; i++, since = (since - sixth(view)) & SINCE_MASK) {
		unsigned failed = sum(view, FAILED_PAIR, attempt->pair, since);
		unsigned forgiven = failed > 0 ? sum(view, FORGIVEN_PAIR, attempt->pair, since) : 0;

		if (failed <= forgiven)
			continue;
		for (enum kind kind = attempt->exempt ? FAILED_USER : FAILED_PLACE;
		     kind <= FAILED_PAIR; kind++)
			add(view, FORGIVEN(kind), id_of(attempt, kind), since, failed - forgiven);
	}
}

void guess_succeeded(const struct guess_view *view, const struct guess_attempt *attempt)
{
	if (attempt->pair == 0)
		return;
	forgive(view, attempt);
	mark(view, KNOWN_PAIR, attempt->pair);
	mark(view, KNOWN_PLACE, attempt->place);
}
