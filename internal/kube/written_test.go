package kube_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/kube"
)

func TestWritten(t *testing.T) {
	state := func(uid, version, request, phase string) *corev1.Namespace {
		return &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), ResourceVersion: version, Annotations: map[string]string{"request": request}},
			Status:     corev1.NamespaceStatus{Phase: corev1.NamespacePhase(phase)},
		}
	}
	give := func(to, from *corev1.Namespace) { to.Status = from.Status }
	for name, tc := range map[string]struct {
		reason  string
		written *corev1.Namespace
		version string
		cached  *corev1.Namespace
		want    *corev1.Namespace
	}{
		"Nothing":  {"this process has written nothing", nil, "", state("a", "5", "one", "old"), state("a", "5", "one", "old")},
		"CaughtUp": {"the cache has the write", state("a", "7", "one", "new"), "7", state("a", "7", "one", "new"), state("a", "7", "one", "new")},
		"Later":    {"and what others wrote since, of the status too", state("a", "7", "one", "new"), "7", state("a", "9", "two", "other"), state("a", "9", "two", "other")},
		"Behind":   {"the cache is behind", state("a", "7", "one", "new"), "7", state("a", "5", "none", "old"), state("a", "7", "one", "new")},
		"Between": {
			"somebody asked while the status was written: the cache has the request and not the status, this process has it the other way round",
			state("a", "5", "one", "new"), "7", state("a", "6", "two", "old"), state("a", "6", "two", "new"),
		},
		"StillBehind": {"the cache is behind both", state("a", "5", "one", "new"), "7", state("a", "4", "none", "old"), state("a", "5", "one", "new")},
		"Namesake":    {"it was made anew", state("a", "7", "one", "new"), "7", state("b", "6", "one", "old"), state("b", "6", "one", "old")},
	} {
		t.Run(name, func(t *testing.T) {
			var w kube.Written[*corev1.Namespace]
			if tc.written != nil {
				w.Is(tc.written, tc.version)
			}
			got := w.Newest(tc.cached, give)
			if got.ResourceVersion != tc.want.ResourceVersion || got.Annotations["request"] != tc.want.Annotations["request"] || got.Status.Phase != tc.want.Status.Phase {
				t.Errorf("%s: got version %s, request %s, status %s", tc.reason, got.ResourceVersion, got.Annotations["request"], got.Status.Phase)
			}
		})
	}
	t.Run("NothingToWrite", func(t *testing.T) {
		var w kube.Written[*corev1.Namespace]
		w.Is(state("a", "5", "one", "new"), "7")
		w.Is(state("a", "6", "two", "new"), "6") // read from the cache, and nothing of it had to be written
		if got := w.Newest(state("a", "6", "two", "old"), give); got.Status.Phase != "new" {
			t.Errorf("the status that was written in version 7 is forgotten: %s", got.Status.Phase)
		}
	})
}
