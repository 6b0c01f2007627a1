package kube

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
)

func TestPauseAfter(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		took    time.Duration
		waiting int
		want    time.Duration
	}{
		"quiet":  {"20 a second at most", time.Millisecond, 5, 50 * time.Millisecond},
		"busy":   {"a server that is slow has other things to do", 60 * time.Millisecond, 5, 600 * time.Millisecond},
		"stuck":  {"it is tried again", 10 * time.Second, 5, 2 * time.Second},
		"no end": {"nothing is dropped for politeness", 10 * time.Second, pendingEvents/2 + 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pauseAfter(tc.took, tc.waiting); got != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// Whoever looks at what failed finds the event that says why, however many others wait.
func TestWarningsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		r := NewRecorder(client.CoreV1(), scheme.Scheme, "test")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { _ = r.Start(ctx); close(done) }()
		tell := func(i int, warning bool) {
			r.Event(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("c", i)}}, nil, warning, "Reason", fmt.Sprint(i))
		}
		for i := range 1000 {
			tell(i, false)
		}
		<-time.After(time.Second)
		tell(1000, true)
		<-time.After(shortestPause)
		events, err := client.CoreV1().Events("shop").List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		warned := slices.ContainsFunc(events.Items, func(e corev1.Event) bool { return e.Type == corev1.EventTypeWarning })
		if n := len(events.Items); !warned || n < 10 || n > 30 {
			t.Errorf("after a second there are %d events, the warning among them: %t; want some twenty with it", n, warned)
		}
		cancel()
		<-done
	})
}
