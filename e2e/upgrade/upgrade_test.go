package upgrade_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/cli"
	"github.com/slipway-dev/slipway/internal/image"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

const patience = 5 * time.Minute

// yard is a cluster with an agent in it as pods.
type yard struct {
	client.Client
	t    *testing.T
	real *labtest.Real
	// builds are the images, by a word for each, with their digests.
	builds map[string]string
	tried  int
}

// TestSelfUpgrade is one story: each step begins with the agent that the one before has left.
func TestSelfUpgrade(t *testing.T) {
	y := newYard(t)
	dir := t.TempDir()
	y.build(dir, "one", "../../cmd/slipway", "-X=main.build=one")
	y.build(dir, "two", "../../cmd/slipway", "-X=main.build=two -s -w")
	source := filepath.Join(dir, "broken.go")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"os\"\n\nfunc main() { os.Exit(3) }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	y.build(dir, "broken", source, "-s -w")
	y.install("one")
	y.works(v1alpha1.SlotA)

	y.step("image missing", func() {
		y.upgrade("slipway.dev/slipway@sha256:"+strings.Repeat("0", 64), protocol.Refused, "Started")
	}, v1alpha1.SlotA)
	y.step("crash at start", func() {
		y.upgrade(y.builds["broken"], protocol.Refused, "ended with code 3")
	}, v1alpha1.SlotA)
	y.step("rights missing", func() {
		restore := y.withoutRule("secrets")
		defer restore()
		y.upgrade(y.builds["two"], protocol.Refused, "may not get secrets")
	}, v1alpha1.SlotA)
	y.step("can't list its kinds", func() {
		restore := y.unserved("buckets.source.toolkit.fluxcd.io")
		defer restore()
		y.upgrade(y.builds["two"], protocol.Refused, "doesn't serve buckets.source.toolkit.fluxcd.io", "--retry")
	}, v1alpha1.SlotA)
	y.step("the new agent's node is lost while it proves itself", func() {
		u := y.begin(y.builds["two"], "--retry")
		y.awaitPhase(u, protocol.Proving)
		defer y.lose("slipway-agent-b-0")()
		y.awaitPhase(u, protocol.TakenBack)
	}, v1alpha1.SlotA)
	y.step("good", func() {
		y.upgrade(y.builds["two"], protocol.Committed, "", "--retry")
	}, v1alpha1.SlotB)
	y.step("the old agent's node is lost while the new one proves itself", func() {
		u := y.begin(y.builds["one"])
		y.awaitPhase(u, protocol.Proving)
		defer y.lose("slipway-agent-b-0")()
		y.awaitPhase(u, protocol.Committed)
	}, v1alpha1.SlotA)
	y.step("killed at each step", func() {
		u := y.begin(y.builds["two"])
		y.killAtEachStep(u)
		if u.Status.Phase != protocol.Committed && u.Status.Phase != protocol.TakenBack {
			t.Errorf("it is %s: %+v", u.Status.Phase, u.Status.Failure)
		}
	}, "")
	y.step("without room for two", func() {
		running := y.running()
		next := map[bool]string{true: "two", false: "one"}[strings.HasSuffix(y.builds["one"], digestOf(running))]
		y.upgrade(y.builds[next], protocol.Committed, "", "--mode", "Recreate", "--retry")
	}, "")
	y.step("rolled back by a person", func() {
		before := y.holder().Slot
		y.slipway("agent", "rollback")
		if y.holder().Slot == before {
			t.Errorf("slot %s still has the lease", before)
		}
	}, "")
}

// step runs a part of the story; in the end the agent in that slot works, alone. An empty slot: whichever has the lease.
func (y *yard) step(name string, part func(), slot v1alpha1.AgentSlot) {
	y.t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
		story := y.t
		y.t = t
		defer func() { y.t = story }()
		began := time.Now()
		part()
		if slot == "" {
			slot = y.holder().Slot
		}
		y.works(slot)
		t.Logf("%s: took %s, the agent in slot %s works", name, time.Since(began).Round(time.Second), slot)
	})
	if y.t.Failed() {
		y.t.FailNow()
	}
}

func newYard(t *testing.T) *yard {
	t.Helper()
	real := labtest.Cluster(t)
	c := real.Client(t, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme)
	return &yard{Client: c, t: t, real: real, builds: map[string]string{}}
}

// build builds a program, makes an image of it and brings that to the lab's registry.
func (y *yard) build(dir, word, what, ldflags string) {
	y.t.Helper()
	binary := filepath.Join(dir, word, "slipway")
	cmd := exec.CommandContext(y.t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", binary, what)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		y.t.Fatalf("build %s: %v\n%s", word, err, out)
	}
	img, err := image.Build(image.Spec{Binary: binary})
	if err != nil {
		y.t.Fatal(err)
	}
	tag, err := image.ParseTag(deploy.Image + ":" + word)
	if err != nil {
		y.t.Fatal(err)
	}
	digest, err := image.Push(y.t.Context(), y.real.Lab.Registry(), tag, img)
	if err != nil {
		y.t.Fatal(err)
	}
	y.builds[word] = deploy.Image + "@" + digest.String()
}

// install installs a build, with an election among its one replica, and removes it when the test ends.
func (y *yard) install(word string, components ...string) {
	y.t.Helper()
	objs, err := deploy.Render(deploy.Options{Overlay: "dev", Components: components, Image: y.builds[word]})
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(func() {
		var out bytes.Buffer
		code := cli.Run(context.Background(), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &out}, []string{"uninstall", "--yes", "--kubeconfig", y.real.Kubeconfig})
		if code != cli.ExitDone {
			y.t.Errorf("uninstall ended with %d:\n%s", code, out.String())
		}
	})
	for _, obj := range objs {
		if obj.GetKind() == "ConfigMap" {
			if err := unstructured.SetNestedField(obj.Object, "true", "data", "LEADER_ELECT"); err != nil {
				y.t.Fatal(err)
			}
		}
		y.poll("apply "+obj.GetKind()+" "+obj.GetName(), func(ctx context.Context) error {
			return y.Apply(ctx, client.ApplyConfigurationFromUnstructured(obj.DeepCopy()), client.FieldOwner("slipway-install"), client.ForceOwnership)
		})
	}
}

// poll asks until f has no error.
func (y *yard) poll(what string, f func(context.Context) error) {
	y.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(y.t.Context(), 250*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = f(ctx)
		return last == nil, nil
	})
	if err != nil {
		y.t.Fatalf("wait until: %s: %v\n%s", what, last, y.state())
	}
}

// slipway runs a command line against the cluster, and returns how it ended and what it said.
func (y *yard) slipway(args ...string) (code int, said string) {
	y.t.Helper()
	var out bytes.Buffer
	code = cli.Run(y.t.Context(), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &out}, append(args, "--kubeconfig", y.real.Kubeconfig))
	y.t.Logf("slipway %s: %d\n%s", strings.Join(args, " "), code, out.String())
	return code, out.String()
}

// upgrade upgrades to an image and waits for the end.
func (y *yard) upgrade(image string, end protocol.State, says string, flags ...string) {
	y.t.Helper()
	code, said := y.slipway(append([]string{"agent", "upgrade", image, "--probe-timeout", "45s", "--prove-for", "3m"}, flags...)...)
	if want := map[bool]int{true: cli.ExitDone, false: cli.ExitFailed}[end == protocol.Committed]; code != want || !strings.Contains(said, string(end)) || !strings.Contains(said, says) {
		y.t.Fatalf("exit code %d, want %d, %s and %q\n%s", code, want, end, says, y.state())
	}
}

// begin begins an upgrade and doesn't wait.
func (y *yard) begin(image string, flags ...string) *v1alpha1.AgentUpgrade {
	y.t.Helper()
	if code, _ := y.slipway(append([]string{"agent", "upgrade", image, "--no-wait", "--prove-for", "3m"}, flags...)...); code != cli.ExitDone {
		y.t.FailNow()
	}
	var all v1alpha1.AgentUpgradeList
	if err := y.List(y.t.Context(), &all, client.InNamespace(deploy.Namespace)); err != nil {
		y.t.Fatal(err)
	}
	i := slices.IndexFunc(all.Items, func(u v1alpha1.AgentUpgrade) bool { return !u.Status.Phase.Ended() })
	if i < 0 {
		y.t.Fatal("no upgrade is under way")
	}
	return &all.Items[i]
}

func (y *yard) awaitPhase(u *v1alpha1.AgentUpgrade, phase protocol.State) {
	y.t.Helper()
	y.poll("the upgrade is "+string(phase), func(ctx context.Context) error {
		if err := y.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return err
		}
		if u.Status.Phase != phase {
			return fmt.Errorf("it is %s: %+v", u.Status.Phase, u.Status.Failure)
		}
		return nil
	})
}

// killAtEachStep kills all of the agent's pods, at once and without a word, whenever the upgrade enters another phase, until it has ended.
func (y *yard) killAtEachStep(u *v1alpha1.AgentUpgrade) {
	y.t.Helper()
	seen := protocol.State("")
	y.poll("the upgrade has ended", func(ctx context.Context) error {
		if err := y.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return err
		}
		if u.Status.Phase.Ended() {
			return nil
		}
		if u.Status.Phase != seen {
			seen = u.Status.Phase
			y.t.Logf("%s: all pods are killed", seen)
			err := y.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(deploy.Namespace), client.MatchingLabels(deploy.AgentLabels()), client.GracePeriodSeconds(0))
			if err != nil {
				return err
			}
		}
		return fmt.Errorf("it is %s", u.Status.Phase)
	})
}

// lose takes a pod away and lets nothing be scheduled: as if its node was gone. It returns what brings the node back.
func (y *yard) lose(pod string) (bring func()) {
	y.t.Helper()
	cordon := func(on bool) {
		var nodes corev1.NodeList
		if err := y.List(y.t.Context(), &nodes); err != nil {
			y.t.Fatal(err)
		}
		for i := range nodes.Items {
			before := nodes.Items[i].DeepCopy()
			nodes.Items[i].Spec.Unschedulable = on
			if err := y.Patch(y.t.Context(), &nodes.Items[i], client.MergeFrom(before)); err != nil {
				y.t.Fatal(err)
			}
		}
	}
	cordon(true)
	err := y.Delete(y.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: deploy.Namespace, Name: pod}}, client.GracePeriodSeconds(0))
	if client.IgnoreNotFound(err) != nil {
		y.t.Fatal(err)
	}
	return func() { cordon(false) }
}

// unserved has the API server not serve a kind any more that is defined, and returns what has it served again.
func (y *yard) unserved(name string) (restore func()) {
	y.t.Helper()
	set := func(served bool) {
		y.poll("change "+name, func(ctx context.Context) error {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			if err := y.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
				return err
			}
			for i := range crd.Spec.Versions {
				crd.Spec.Versions[i].Served = served && (i == 0 || crd.Spec.Versions[i].Storage)
			}
			return y.Update(ctx, crd)
		})
	}
	set(false)
	return func() { set(true) }
}

// withoutRule takes a resource from the agent's role, and returns what gives it back.
func (y *yard) withoutRule(resource string) (restore func()) {
	y.t.Helper()
	role := &rbacv1.ClusterRole{}
	if err := y.Get(y.t.Context(), client.ObjectKey{Name: deploy.Agent}, role); err != nil {
		y.t.Fatal(err)
	}
	all := role.DeepCopy().Rules
	role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, resource) })
	if err := y.Update(y.t.Context(), role); err != nil {
		y.t.Fatal(err)
	}
	return func() {
		role.Rules = all
		if err := y.Update(y.t.Context(), role); err != nil {
			y.t.Fatal(err)
		}
	}
}

func (y *yard) holder() term.Holder {
	y.t.Helper()
	h, err := term.Read(y.t.Context(), y.real.Clientset(y.t).CoordinationV1().Leases(deploy.Namespace), deploy.Agent)
	if err != nil {
		y.t.Fatal(err)
	}
	return h
}

// running is the image of the slot that has the lease.
func (y *yard) running() string {
	y.t.Helper()
	s := &appsv1.StatefulSet{}
	name := map[v1alpha1.AgentSlot]string{v1alpha1.SlotA: deploy.Agent, v1alpha1.SlotB: deploy.Agent + "-b"}[y.holder().Slot]
	if err := y.Get(y.t.Context(), client.ObjectKey{Namespace: deploy.Namespace, Name: name}, s); err != nil {
		y.t.Fatal(err)
	}
	return s.Spec.Template.Spec.Containers[0].Image
}

func digestOf(image string) string {
	_, digest, _ := strings.Cut(image, "@")
	return digest
}

// works: the agent in a slot does what an agent is for. It looks at a new Kustomization, and says that its source isn't there.
func (y *yard) works(slot v1alpha1.AgentSlot) {
	y.t.Helper()
	y.tried++
	ks := &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: y.real.Namespace, Name: fmt.Sprintf("try-%d", y.tried)},
		Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: time.Hour}, Path: "./", Prune: true, ServiceAccountName: "nobody",
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "nowhere"},
		},
	}
	y.poll("make a Kustomization", func(ctx context.Context) error {
		if err := y.Create(ctx, ks); !apierrors.IsAlreadyExists(err) {
			return err
		}
		return nil
	})
	y.poll("the agent in slot "+string(slot)+" looks at it", func(ctx context.Context) error {
		if h := y.holder(); h.Slot != slot || !h.Taken {
			return fmt.Errorf("the lease says %+v", h)
		}
		if err := y.Get(ctx, client.ObjectKeyFromObject(ks), ks); err != nil {
			return err
		}
		if len(ks.Status.Conditions) == 0 {
			return errors.New("nobody has looked at it")
		}
		return nil
	})
	ks.Finalizers = nil
	if err := errors.Join(client.IgnoreNotFound(y.Update(y.t.Context(), ks)), client.IgnoreNotFound(y.Delete(y.t.Context(), ks))); err != nil && !apierrors.IsConflict(err) {
		y.t.Error(err)
	}
}

// state says how things are, for a test that fails.
func (y *yard) state() string {
	var b strings.Builder
	ctx := context.WithoutCancel(y.t.Context())
	var upgrades v1alpha1.AgentUpgradeList
	if err := y.List(ctx, &upgrades, client.InNamespace(deploy.Namespace)); err == nil {
		for _, u := range upgrades.Items {
			fmt.Fprintf(&b, "AgentUpgrade %s: %+v\n", u.Name, u.Status)
		}
	}
	var pods corev1.PodList
	if err := y.List(ctx, &pods, client.InNamespace(deploy.Namespace)); err == nil {
		for _, p := range pods.Items {
			fmt.Fprintf(&b, "pod %s: %s %+v\n", p.Name, p.Status.Phase, p.Status.ContainerStatuses)
			limit := int64(40)
			log, err := y.real.Clientset(y.t).CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{TailLines: &limit}).DoRaw(ctx)
			fmt.Fprintf(&b, "%s %v\n", log, err)
		}
	}
	return b.String()
}
