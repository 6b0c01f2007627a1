package lab_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/slipway/internal/image"
	"github.com/slipway-dev/slipway/internal/lab"
)

// probeImage is the image of testdata/probe, which says what the network looks like from inside of a pod.
const probeImage = "probe.example/probe:1"

// workload is the probe, one pod on each node, behind a Service.
type workload struct {
	client  *kubernetes.Clientset
	service string
	pods    []corev1.Pod
}

func clientFor(t *testing.T, l *lab.Lab) *kubernetes.Clientset {
	t.Helper()
	config, err := l.Config()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func loadProbe(t *testing.T, l *lab.Lab) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "probe")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./testdata/probe")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the probe: %v: %s", err, out)
	}
	img, err := image.Build(image.Spec{Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := image.ParseTag(probeImage)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := image.Push(t.Context(), l.Registry(), tag, img); err != nil {
		t.Fatal(err)
	}
}

// run starts the probe in the lab and waits until all its pods are ready.
func run(t *testing.T, l *lab.Lab) *workload {
	t.Helper()
	loadProbe(t, l)
	w := &workload{client: clientFor(t, l)}
	labels := map[string]string{"app": "probe"}
	set := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "probe"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: new(int64),
					Containers:                    []corev1.Container{{Name: "probe", Image: probeImage}},
				},
			},
		},
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "probe"},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 8080}}},
	}
	if _, err := w.client.AppsV1().DaemonSets("default").Create(t.Context(), set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	service, err := w.client.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.service = service.Spec.ClusterIP
	w.await(t, len(mustStatus(t, l).Workers))
	return w
}

// await waits until as many pods are ready and answer.
func (w *workload) await(t *testing.T, want int) {
	t.Helper()
	eventually(t, "the probe's pods answer", func(ctx context.Context) error {
		set, err := w.client.AppsV1().DaemonSets("default").Get(ctx, "probe", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if int(set.Status.NumberReady) != want {
			return fmt.Errorf("%d of %d are ready", set.Status.NumberReady, want)
		}
		pods, err := w.client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=probe"})
		if err != nil {
			return err
		}
		w.pods = pods.Items
		for _, pod := range w.pods {
			if _, err := fetch(ctx, "http://"+pod.Status.PodIP+":8080/who"); err != nil {
				return err
			}
		}
		return nil
	})
}

// from fetches a URL from inside of a pod.
func (w *workload) from(ctx context.Context, pod corev1.Pod, target string) (string, error) {
	return fetch(ctx, "http://"+pod.Status.PodIP+":8080/get?url="+url.QueryEscape(target))
}

func fetch(ctx context.Context, target string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", err
	}
	transport := &http.Transport{DisableKeepAlives: true} // each request is balanced anew
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", target, response.Status, body)
	}
	return string(body), err
}
