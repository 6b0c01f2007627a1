package upgrade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/kube"
)

// ErrUsage is a wish that can't be meant.
var ErrUsage = errors.New("not an upgrade")

// BeginOptions say what is wanted.
type BeginOptions struct {
	// Image with its digest. Required.
	Image string
	// Version of it, for people. Default: the beginning of its digest.
	Version string
	// Mode of the attempt. Default: Slots.
	Mode v1alpha1.AgentUpgradeMode
	// ProbeTimeout and ProveFor are as in the API; 0 for their defaults.
	ProbeTimeout, ProveFor time.Duration
	// Retry tries an image again that failed before.
	Retry bool
	// Name of the attempt; there is no other one of that name. Default: one that is made up.
	Name string
}

// Begin writes an attempt, from the agent that runs to another one. Who drives is the agent in the cluster.
func (d *Driver) Begin(ctx context.Context, o BeginOptions) (*v1alpha1.AgentUpgrade, error) {
	if !pinned().MatchString(o.Image) {
		return nil, fmt.Errorf("%w: %q doesn't name an image by its digest, as NAME@sha256:…", ErrUsage, o.Image)
	}
	from, err := d.Running(ctx)
	if err != nil {
		return nil, err
	}
	if digestOf(from.Image) == digestOf(o.Image) {
		return nil, fmt.Errorf("%w: slot %s runs this image already", ErrUsage, from.Slot)
	}
	short := digestOf(o.Image)[len("sha256:"):][:12]
	to := v1alpha1.AgentBuild{Image: o.Image, Version: cmp.Or(o.Version, short), Slot: other(from.Slot)}
	u := &v1alpha1.AgentUpgrade{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.opts.Namespace, GenerateName: "agent-" + short + "-", Finalizers: []string{Finalizer}},
		Spec:       v1alpha1.AgentUpgradeSpec{Mode: o.Mode, From: from, To: to},
	}
	if o.Name != "" {
		u.Name, u.GenerateName = o.Name, ""
	}
	if o.ProbeTimeout > 0 {
		u.Spec.ProbeTimeout = &metav1.Duration{Duration: o.ProbeTimeout}
	}
	if o.ProveFor > 0 {
		u.Spec.ProveFor = &metav1.Duration{Duration: o.ProveFor}
	}
	if o.Retry {
		u.Annotations = map[string]string{v1alpha1.RetryAnnotation: digestOf(o.Image)}
	}
	err = d.opts.Client.Create(ctx, u)
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("the cluster doesn't know AgentUpgrades: run 'slipway install' of this version first")
	}
	if err != nil {
		return nil, fmt.Errorf("write the AgentUpgrade: %w", err)
	}
	return u, nil
}

func pinned() *regexp.Regexp { return regexp.MustCompile(`^[^@\s]+@sha256:[0-9a-f]{64}$`) }

func other(slot v1alpha1.AgentSlot) v1alpha1.AgentSlot {
	if slot == v1alpha1.SlotB {
		return v1alpha1.SlotA
	}
	return v1alpha1.SlotB
}

// Running finds the agent that works: the slot that has the lease, and what it runs.
func (d *Driver) Running(ctx context.Context) (v1alpha1.AgentBuild, error) {
	none := v1alpha1.AgentBuild{}
	holder, err := term.Read(ctx, d.opts.Leases, d.opts.Name.Agent)
	if err != nil {
		return none, err
	}
	build := v1alpha1.AgentBuild{Slot: cmp.Or(holder.Slot, v1alpha1.SlotA)}
	s, err := d.slot(ctx, build.Slot)
	if err != nil {
		return none, err
	}
	if s == nil {
		return none, fmt.Errorf("no agent is installed in slot %s: run 'slipway install'", build.Slot)
	}
	build.Image = d.imageOf(s.Spec.Template.Spec)
	if build.Version = s.Annotations[versionAnnotation]; digestOf(build.Image) == "" {
		name, tag, _ := kube.SplitImage(build.Image)
		build.Version = cmp.Or(build.Version, tag)
		if build.Image, err = d.pulled(ctx, name, build.Slot); err != nil {
			return none, err
		}
	}
	build.Version = cmp.Or(build.Version, digestOf(build.Image)[len("sha256:"):][:12])
	return build, nil
}

// pulled finds the digest of the image that a slot's pods run.
func (d *Driver) pulled(ctx context.Context, name string, slot v1alpha1.AgentSlot) (string, error) {
	pods, err := d.pods(ctx, slot)
	if err != nil {
		return "", err
	}
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			if digest := digestOf(status.ImageID); status.Name == d.opts.Name.Container && strings.HasPrefix(digest, "sha256:") {
				return name + "@" + digest, nil
			}
		}
	}
	return "", fmt.Errorf("the digest of %s isn't known: none of slot %s's pods runs", name, slot)
}

// AskBack asks the old agent to take an attempt back, as the annotation of a person does.
func (d *Driver) AskBack(ctx context.Context, u *v1alpha1.AgentUpgrade) error {
	before := u.DeepCopy()
	annotate(u, v1alpha1.RollbackAnnotation, digestOf(u.Spec.To.Image))
	if err := d.writeMetadata(ctx, before, u); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("ask for the rollback of AgentUpgrade %s: %w", u.Name, err)
	}
	return nil
}

// writeMetadata writes what has changed of an attempt's metadata, and no more: its spec mustn't change, and would, if it were only written as
// this process writes it (2m0s) and not as it was (2m).
func (d *Driver) writeMetadata(ctx context.Context, before, after *v1alpha1.AgentUpgrade) error {
	return kube.PatchMetadata(ctx, d.opts.Client, before, after, d.opts.Name.Agent)
}

// TakeBack takes an attempt back in place of the old agent, and waits until that is done. The driver must act as the old slot.
func (d *Driver) TakeBack(ctx context.Context, u *v1alpha1.AgentUpgrade) error {
	key := client.ObjectKeyFromObject(u)
	for {
		if err := d.opts.Client.Get(ctx, key, u); err != nil {
			return fmt.Errorf("read AgentUpgrade %s: %w", u.Name, err)
		}
		if u.Annotations[v1alpha1.RollbackAnnotation] != digestOf(u.Spec.To.Image) && u.Status.Phase != protocol.TakingBack && u.Status.Phase != protocol.TakenBack {
			if err := d.AskBack(ctx, u); ifNotConflict(err) != nil {
				return err
			}
			continue
		}
		changed, err := d.Step(ctx, u)
		switch {
		case u.Status.Phase == protocol.TakenBack || u.Status.Phase == protocol.Refused:
			return nil
		case changed && err == nil:
			continue
		}
		rest(ctx, d.opts.Limits.Poll)
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("AgentUpgrade %s is %s: %w", u.Name, u.Status.Phase, ctx.Err()), err)
		}
	}
}
