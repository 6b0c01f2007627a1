package cli

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestReconcileFollowsTheControllerToItsEnd(t *testing.T) {
	const reconciling = meta.ProgressingReason
	for name, tc := range map[string]struct {
		reason string
		steps  []metav1.Condition
		code   int
		says   string
	}{
		"Applied": {
			"the usual end",
			[]metav1.Condition{
				condition(meta.ReadyCondition, metav1.ConditionUnknown, reconciling, "Building"),
				condition(meta.ReadyCondition, metav1.ConditionTrue, "ReconciliationSucceeded", "Applied revision: new"),
			},
			ExitDone, "Applied revision: new",
		},
		"Failed": {
			"the controller's reason is the user's",
			[]metav1.Condition{condition(meta.ReadyCondition, metav1.ConditionFalse, "BuildFailed", "no such file")},
			ExitFailed, "no such file",
		},
		"Unfinished": {
			"what it waits for is worth knowing",
			[]metav1.Condition{condition(meta.ReadyCondition, metav1.ConditionUnknown, reconciling, "waiting for Deployment/cart")},
			ExitFailed, "isn't ready in time: waiting for Deployment/cart",
		},
		"Unanswered": {"nobody is there", nil, ExitFailed, "is the agent running"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.has(kustomization("shop", "shop"))
			w.answering(kustomizationKind(), func(delivered) []metav1.Condition { return tc.steps })
			timeout := "--timeout=1m"
			if len(tc.steps) == 0 {
				timeout = "--timeout=5s" // nothing says when the question is out, so that it could be over then
			}
			// What isn't finished is given up once it was seen to go on.
			ctx := &overtime{Context: context.WithoutCancel(t.Context()), over: make(chan struct{})}
			var out bytes.Buffer
			said := &until{text: "waiting for Deployment/cart", found: sync.OnceFunc(func() { close(ctx.over) })}
			code := Run(ctx, Streams{In: strings.NewReader(""), Out: &out, Err: said},
				[]string{"reconcile", "kustomization", "shop", timeout, "--kubeconfig", w.kubeconfig})
			answer{code, out.String(), said.String()}.want(t, tc.code, tc.says)
		})
	}
}

// overtime is a context whose time is over when a test says so.
type overtime struct {
	context.Context

	over chan struct{}
}

func (o *overtime) Done() <-chan struct{} { return o.over }

func (o *overtime) Err() error {
	select {
	case <-o.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestReconcileWithSourceFetchesFirst(t *testing.T) {
	w := newWorld(t)
	w.has(source("repo"), kustomization("shop", "repo"))
	var (
		mu    sync.Mutex
		order []string
	)
	for _, k := range []kind{gitRepositoryKind(), kustomizationKind()} {
		w.answering(k, func(obj delivered) []metav1.Condition {
			mu.Lock()
			defer mu.Unlock()
			if !slices.Contains(order, k.name) {
				order = append(order, k.name)
			}
			return []metav1.Condition{condition(meta.ReadyCondition, metav1.ConditionTrue, "Succeeded", "done with "+obj.GetName())}
		})
	}
	w.slipway("reconcile", "ks", "shop", "--with-source").want(t, ExitDone, "done with repo", "done with shop")
	if !slices.Equal(order, []string{"GitRepository", "Kustomization"}) {
		t.Errorf("order %v, want the source first", order)
	}
	w.slipway("reconcile", "source", "git", "repo").want(t, ExitDone, "done with repo")
	w.slipway("reconcile", "source", "repo", "--with-source").want(t, ExitUsage, "--with-source is for Kustomizations only")
}
