package apply

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/kube"
)

// What a control plane at rest never answers.
func TestExplainTrouble(t *testing.T) {
	res := schema.GroupResource{Group: "apps", Resource: "deployments"}
	cases := map[string]struct {
		reason    string
		err       error
		want      Reason
		transient bool
	}{
		"deadline":  {"the caller's time is up", fmt.Errorf("x: %w", context.DeadlineExceeded), ReasonUnavailable, false},
		"throttled": {"the API server has too much to do", apierrors.NewTooManyRequests("later", 1), ReasonUnavailable, true},
		"timeout":   {"etcd is slow", apierrors.NewServerTimeout(res, "patch", 1), ReasonUnavailable, true},
		"away":      {"the API server restarts", apierrors.NewServiceUnavailable("starting"), ReasonUnavailable, true},
		"refused":   {"nobody listens", &url.Error{Op: "Patch", URL: "https://u:secret@h", Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}, ReasonUnavailable, true},
		"webhook":   {"a webhook has no endpoints", apierrors.NewInternalError(errors.New(`failed calling webhook "a.b"`)), ReasonUnavailable, false},
		"denied":    {"a webhook says no", apierrors.NewForbidden(res, "a", errors.New(`admission webhook "a.b" denied the request: no`)), ReasonDenied, false},
		"conflict":  {"the object changes all the time", apierrors.NewConflict(res, "a", errors.New("modified")), ReasonConflict, true},
		"exists":    {"two created it at once", apierrors.NewAlreadyExists(res, "a"), ReasonConflict, true},
		"broken":    {"the API server stumbles", apierrors.NewInternalError(errors.New("boom")), ReasonUnavailable, true},
		"odd":       {"anything else", apierrors.NewMethodNotSupported(res, "patch"), ReasonFailed, false},
	}
	a := &api{opts: Options{}.withDefaults()}
	it := &item{ref: kube.Ref{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: "shop", Name: "cart"}}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := a.explain(it, "patch", tc.err)
			if got.Reason != tc.want {
				t.Errorf("%s: want %s, got %s: %v", tc.reason, tc.want, got.Reason, got)
			}
			if !errors.Is(got, tc.err) {
				t.Errorf("%s: the cause must be found in the error", tc.reason)
			}
			if strings.Contains(got.Error(), "secret") {
				t.Errorf("%s: credentials must not be in the message: %v", tc.reason, got)
			}
			if transient(tc.err) != tc.transient {
				t.Errorf("%s: transient is %v", tc.reason, !tc.transient)
			}
			if refusal(got) != (tc.want != ReasonUnavailable && tc.want != ReasonConflict) {
				t.Errorf("%s: whether it is a refusal is wrong", tc.reason)
			}
		})
	}
}

func TestLongErrorsAreAbridged(t *testing.T) {
	var errs []*Error
	for i := range 25 {
		errs = append(errs, invalid(kube.Ref{Kind: "ConfigMap", Name: fmt.Sprintf("c%02d", i)}, "is not valid"))
	}
	err := joined(errs)
	if got := len(strings.Split(err.Error(), "\n")); got != maxListed+1 || !strings.Contains(err.Error(), "and 15 more") {
		t.Errorf("want %d lines and a word about the rest:\n%v", maxListed+1, err)
	}
	if len(Errors(fmt.Errorf("wrapped: %w", err))) != 25 || !errors.Is(err, errs[24]) {
		t.Error("all of them must be found")
	}
}

func TestOwnershipAcrossVersions(t *testing.T) {
	fields := func(s string) *metav1.FieldsV1 { return metav1.NewFieldsV1(s) }
	entries := []metav1.ManagedFieldsEntry{
		{Manager: DefaultManager, Operation: "Apply", APIVersion: "v1", FieldsV1: fields(`{"f:data":{"f:a":{}}}`)},
		{Manager: "kubectl-edit", Operation: "Update", APIVersion: "v1", FieldsV1: fields(`{"f:data":{"f:b":{}}}`)},
		{Manager: "kubectl", Operation: "Update", APIVersion: "v2", FieldsV1: fields(`{"f:data":{"f:c":{}}}`)},
		{Manager: "kubectl", Operation: "Update", APIVersion: "v1", Subresource: "scale", FieldsV1: fields(`{"f:spec":{}}`)},
		{Manager: "mesh", Operation: "Update", APIVersion: "v1", FieldsV1: fields(`{"f:data":{"f:d":{}}}`)},
	}
	got, err := merged(entries, DefaultManager)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range got {
		names = append(names, e.Manager+" "+e.APIVersion+" "+e.Subresource)
	}
	want := []string{DefaultManager + " v1 ", "kubectl v1 scale", "mesh v1 ", DefaultManager + " v2 "}
	if fmt.Sprint(names) != fmt.Sprint(want) {
		t.Errorf("want %q, got %q", want, names)
	}
	if s := got[0].FieldsV1.GetRawString(); s != `{"f:data":{"f:a":{},"f:b":{}}}` {
		t.Errorf("our fields and kubectl's together, got %s", s)
	}
	entries[1].FieldsV1 = fields("nonsense")
	if _, err := merged(entries, DefaultManager); err == nil {
		t.Error("want an error for fields that nobody can read")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	first, greedy := Owner{Name: "first"}, Owner{Name: "greedy"}
	ref := func(i int) kube.Ref { return kube.Ref{Name: fmt.Sprint(i)} }
	for i := range 10 {
		m.put(first, ref(i), record{})
	}
	for i := range maxRecords {
		m.put(greedy, ref(i), record{})
	}
	if len(m.records) != maxRecords {
		t.Errorf("want %d records, got %d", maxRecords, len(m.records))
	}
	if _, ok := m.get(greedy, ref(maxRecords-1)); ok {
		t.Error("what comes when the memory is full is not remembered")
	}
	for i := range 10 {
		if _, ok := m.get(first, ref(i)); !ok {
			t.Errorf("what others apply must not push out what was remembered: %d is gone", i)
		}
	}
	m.put(first, ref(3), record{resourceVersion: "2"})
	if r, _ := m.get(first, ref(3)); r.resourceVersion != "2" {
		t.Error("what is remembered is brought up to date")
	}
	m.drop(greedy, ref(0))
	m.put(first, ref(10), record{})
	if _, ok := m.get(first, ref(10)); !ok {
		t.Error("there is room again")
	}
}
