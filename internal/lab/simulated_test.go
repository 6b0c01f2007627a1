package lab_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/lab"
)

func TestSimulatedLab(t *testing.T) {
	m := newMachine(t)
	l := mustUp(t, lab.Options{Name: "sim", Nodes: lab.Simulated, Workers: 2})
	if status := mustStatus(t, l); !status.Healthy() || len(status.Workers) != 2 {
		t.Errorf("%d nodes, problems: %q", len(status.Workers), status.Problems())
	}
	labels := map[string]string{"app": "web"}
	replicas := int32(3)
	deployments := clientFor(t, l).AppsV1().Deployments("default")
	_, err := deployments.Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "no.such/image"}}},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Deployment becomes available", func(ctx context.Context) error {
		web, err := deployments.Get(ctx, "web", metav1.GetOptions{})
		if err == nil && web.Status.AvailableReplicas != replicas {
			err = fmt.Errorf("%d of %d pods", web.Status.AvailableReplicas, replicas)
		}
		return err
	})
	mustDown(t, "sim")
	m.expectNoTraces(t, "sim")
}

func TestControlPlaneAlone(t *testing.T) {
	m := newMachine(t, strings.Repeat("deep", 30)) // a socket's path may have 107 bytes
	name := strings.Repeat("n", 30)
	installs := 0
	fail := errors.New("not this time")
	install := func(context.Context, *lab.Lab) error {
		installs++
		if installs == 1 {
			return fail
		}
		return nil
	}
	o := lab.Options{Name: name, Nodes: lab.None, Install: install}
	if _, err := lab.Up(t.Context(), o); !errors.Is(err, fail) {
		t.Fatalf("got %v, want what the installation said", err)
	}
	l := mustUp(t, o)
	mustUp(t, o)
	if installs != 2 {
		t.Errorf("installed %d times, want again after the failure and not after the success", installs)
	}
	if l.Registry() != "" || l.Gateway().IsValid() {
		t.Errorf("without real nodes there is registry %q and gateway %s", l.Registry(), l.Gateway())
	}
	pid := pids(mustStatus(t, l))["kube-apiserver"]
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "status says what is down", func(context.Context) error {
		if problems := mustStatus(t, l).Problems(); len(problems) == 0 || !strings.Contains(problems[0], "kube-apiserver is Down") {
			return fmt.Errorf("problems: %q", problems)
		}
		return nil
	})
	mustUp(t, lab.Options{Name: name})
	if status := mustStatus(t, l); !status.Healthy() {
		t.Errorf("after up: %q", status.Problems())
	}
	mustDown(t, name)
	m.expectNoTraces(t, name)
	if there, err := lab.Down(t.Context(), name); there || err != nil {
		t.Errorf("a second down found something: %t, %v", there, err)
	}
	if _, err := lab.Open(name); !errors.Is(err, lab.ErrNotFound) {
		t.Errorf("after down there is %v", err)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	newMachine(t)
	for name, o := range map[string]lab.Options{
		"a name with a slash":        {Name: "../x"},
		"a name in upper case":       {Name: "Lab"},
		"a name that is long":        {Name: strings.Repeat("n", 31)},
		"unknown nodes":              {Nodes: "virtual"},
		"negative workers":           {Workers: -1},
		"too many workers":           {Workers: 1000},
		"workers without nodes":      {Nodes: lab.None, Workers: 2},
		"a name that ends in a dash": {Name: "lab-"},
	} {
		if _, err := lab.Up(t.Context(), o); !errors.As(err, new(*lab.OptionsError)) {
			t.Errorf("%s: got %v, want an OptionsError", name, err)
		}
	}
	if _, err := lab.Down(t.Context(), "../x"); !errors.Is(err, lab.ErrNotFound) {
		t.Errorf("down of a name with a slash: %v", err)
	}
	if _, err := lab.Open("nosuch"); !errors.Is(err, lab.ErrNotFound) || !strings.Contains(err.Error(), "slipway up --name nosuch") {
		t.Errorf("a lab that isn't there: %v, want what to do", err)
	}
}
