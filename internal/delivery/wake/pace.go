package wake

import (
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// MinInterval is the shortest interval, whatever a spec says: a typing error must not keep the agent, a Git server and the API server busy.
const MinInterval = time.Second

// Interval is d, or MinInterval if that is longer.
func Interval(d time.Duration) time.Duration { return max(d, MinInterval) }

// Spread adds up to a tenth, so that what began together does not come back together.
func Spread(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/10+1)) //nolint:gosec // no secret depends on it
}

const (
	firstPause = 2 * time.Second
	mostPauses = 8 // doublings after which the pause grows no further: about eight minutes
)

// Backoff is the pause after so many failures in a row, at least one: from two seconds, doubling, to about eight minutes.
func Backoff(failures int) time.Duration {
	return firstPause << min(failures-1, mostPauses)
}

// Retries paces what is tried again because the API server gave no answer: each object after 20 ms, 40 ms and so on up to ten seconds, so that
// all go on within that time when the API server is back, however long it was away; all together a hundred at once and fifty a second.
func Retries() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedMaxOfRateLimiter(
		workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 10*time.Second),
		&workqueue.TypedBucketRateLimiter[reconcile.Request]{Limiter: rate.NewLimiter(50, 100)},
	)
}
