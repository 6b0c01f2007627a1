package upgrade_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
)

// driver acts as slot a, without an election.
func (p *plant) driver(change func(*upgrade.Options)) *upgrade.Driver {
	p.t.Helper()
	o := upgrade.Options{
		Client: p.c, Leases: p.leases, Namespace: p.namespace, Name: names(), Slot: v1alpha1.SlotA, Elects: true, Log: p.log("person"),
		Limits: upgrade.Limits{Poll: poll}, Now: p.now,
	}
	if change != nil {
		change(&o)
	}
	return upgrade.New(o)
}

// look has a driver look once, with all that follows from it.
func (p *plant) look(d *upgrade.Driver) {
	p.t.Helper()
	if _, err := d.Look(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func TestMayNotBegin(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		options func(*upgrade.Options)
		attempt func(*v1alpha1.AgentUpgrade)
		before  func(*plant)
		want    protocol.State
		because string
	}{
		"Off":        {"self-upgrade is switched off", func(o *upgrade.Options) { o.Off = true }, nil, nil, protocol.Refused, "SwitchedOff"},
		"NoElection": {"two agents would work at once", func(o *upgrade.Options) { o.Elects = false }, nil, nil, protocol.Refused, "NoElection"},
		"OtherImage": {"what runs isn't what it goes out from", nil, func(u *v1alpha1.AgentUpgrade) { u.Spec.From.Image = newImage }, nil, protocol.Refused, "NotWhatRuns"},
		"Rejected":   {"the image failed before", nil, nil, func(p *plant) { p.failed("ProbeFailed") }, protocol.Refused, "Rejected"},
		"Retried": {
			"a person wants it again", nil, func(u *v1alpha1.AgentUpgrade) {
				u.Annotations = map[string]string{v1alpha1.RetryAnnotation: strings.Split(newImage, "@")[1]}
			}, func(p *plant) { p.failed("ProbeFailed") }, protocol.Probing, "",
		},
		"WorkedSince": {"it failed once, and worked later", nil, nil, func(p *plant) {
			p.ended("earlier", protocol.TakenBack, "Crashes", -time.Hour)
			p.ended("later", protocol.Committed, "", -time.Minute)
		}, protocol.Probing, ""},
		"FailedSince": {"it worked once, and failed later", nil, nil, func(p *plant) {
			p.ended("earlier", protocol.Committed, "", -time.Hour)
			p.ended("later", protocol.TakenBack, "Crashes", -time.Minute)
		}, protocol.Refused, "Rejected"},
		"EndedByAPerson": {"that says nothing about the image", nil, nil, func(p *plant) { p.failed("Deleted") }, protocol.Probing, ""},
		"ProbeRefused":   {"a quota or a policy says nothing about the image", nil, nil, func(p *plant) { p.failed("ProbeRefused") }, protocol.Probing, ""},
		"OldMissing":     {"what was amiss in the cluster says nothing about the image", nil, nil, func(p *plant) { p.failed("OldMissing") }, protocol.Probing, ""},
		"Advised":        {"the mode says so", nil, func(u *v1alpha1.AgentUpgrade) { u.Spec.Mode = v1alpha1.AgentUpgradeAdvise }, nil, protocol.Advised, ""},
		"Helm": {"Helm owns the agent", nil, nil, func(p *plant) {
			p.edit(func(s *appsv1.StatefulSet) { s.Labels["app.kubernetes.io/managed-by"] = "Helm" })
		}, protocol.Advised, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, sound)
			if tc.before != nil {
				tc.before(p)
			}
			u := attempt(v1alpha1.AgentUpgradeSlots)
			if tc.attempt != nil {
				tc.attempt(u)
			}
			p.create(u)
			p.look(p.driver(tc.options))
			got := p.get()
			if got.Status.Phase != tc.want {
				t.Errorf("%s: it is %s, want %s: %+v", tc.reason, got.Status.Phase, tc.want, got.Status.Failure)
			}
			if tc.because != "" && (got.Status.Failure == nil || got.Status.Failure.Reason != tc.because) {
				t.Errorf("%s: because of %+v, want %s", tc.reason, got.Status.Failure, tc.because)
			}
			if b := p.replicas(v1alpha1.SlotB); b != -1 {
				t.Errorf("slot b has %d replicas", b)
			}
		})
	}
}

// failed leaves an attempt with the new image that ended badly.
func (p *plant) failed(reason string) {
	p.t.Helper()
	p.ended("earlier", protocol.Refused, reason, -time.Minute)
}

// ended leaves an attempt with the new image that ended some time from now.
func (p *plant) ended(name string, phase protocol.State, reason string, from time.Duration) {
	p.t.Helper()
	u := attempt(v1alpha1.AgentUpgradeSlots)
	u.Name, u.Finalizers = name, []string{upgrade.Finalizer}
	p.create(u)
	at := metav1.NewTime(time.Now().Add(from))
	if u.Status.Phase, u.Status.PhaseSince = phase, &at; reason != "" {
		u.Status.Failure = &v1alpha1.Failure{Reason: reason, Message: "it failed", At: at}
	}
	if err := p.c.Status().Update(p.t.Context(), u); err != nil {
		p.t.Fatal(err)
	}
}

// edit changes slot a as a person would.
func (p *plant) edit(change func(*appsv1.StatefulSet)) {
	p.t.Helper()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error { // its controller writes its status
		s := &appsv1.StatefulSet{}
		if err := p.c.Get(p.t.Context(), client.ObjectKey{Namespace: p.namespace, Name: agent}, s); err != nil {
			return err
		}
		change(s)
		return p.c.Update(p.t.Context(), s)
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestProbeIsRefused(t *testing.T) {
	p := newPlant(t, sound)
	p.edit(func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.ServiceAccountName = "nobody" })
	p.create(attempt(v1alpha1.AgentUpgradeSlots))
	p.look(p.driver(nil))
	if got := p.get(); got.Status.Phase != protocol.TakingBack || got.Status.Failure.Reason != "ProbeRefused" || !strings.Contains(got.Status.Failure.Message, `"nobody" not found`) {
		t.Errorf("it is %s: %+v", got.Status.Phase, got.Status.Failure)
	}
}

func TestOldSlotMissing(t *testing.T) {
	p := newPlant(t, sound)
	p.create(attempt(v1alpha1.AgentUpgradeSlots))
	u := p.get()
	u.Status.Phase = protocol.Probing
	if err := p.c.Status().Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if err := p.c.Delete(t.Context(), &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: agent}}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.driver(nil).Look(t.Context()); err == nil || !strings.Contains(err.Error(), "slipway install") {
		t.Errorf("got %v, want what to do", err)
	}
	if got := p.get(); got.Status.Phase != protocol.TakingBack || got.Status.Failure.Reason != "OldMissing" {
		t.Errorf("it is %s: %+v", got.Status.Phase, got.Status.Failure)
	}
}

// TestTheNewSlotIsLikeTheOldOne but for its name, its label, its image and what keeps its pods apart.
func TestTheNewSlotIsLikeTheOldOne(t *testing.T) {
	p := newPlant(t, sound)
	p.edit(func(s *appsv1.StatefulSet) { s.Spec.Replicas = new(int32(3)) })
	p.create(attempt(v1alpha1.AgentUpgradeSlots))
	u := p.get()
	u.Status.Phase = protocol.Starting
	if err := p.c.Status().Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	p.look(p.driver(nil))
	b := &appsv1.StatefulSet{}
	if err := p.c.Get(t.Context(), client.ObjectKey{Namespace: p.namespace, Name: agent + "-b"}, b); err != nil {
		t.Fatal(err)
	}
	pod := b.Spec.Template
	apart := pod.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].LabelSelector.MatchLabels
	switch {
	case *b.Spec.Replicas != 3:
		t.Errorf("it has %d replicas", *b.Spec.Replicas)
	case pod.Spec.Containers[0].Image != newImage || pod.Spec.ServiceAccountName != agent:
		t.Errorf("its pods are %+v", pod.Spec)
	case pod.Labels[upgrade.SlotLabel] != "b" || b.Spec.Selector.MatchLabels[upgrade.SlotLabel] != "b" || apart[upgrade.SlotLabel] != "b":
		t.Errorf("labels %v, selector %v, apart from %v", pod.Labels, b.Spec.Selector.MatchLabels, apart)
	case pod.Spec.Containers[0].Env[0] != (corev1.EnvVar{Name: upgrade.SlotEnv, Value: "b"}):
		t.Errorf("its processes are told %v", pod.Spec.Containers[0].Env)
	}
}
