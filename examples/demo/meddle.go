package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/await"
)

// soon is how long a manual change may last.
const soon = 2 * time.Second

// meddling is one thing that somebody does by hand, and what is put back.
type meddling struct {
	text   string
	object *unstructured.Unstructured
	do     func(obj *unstructured.Unstructured) error // nil: delete it
	back   await.Check
}

// meddle changes the shop by hand in several ways, as `kubectl edit`, `scale`
// and `delete` do, and measures how long each change lasts.
func (d *demo) meddle(ctx context.Context) error {
	settings, err := d.settings(ctx)
	if err != nil {
		return err
	}
	image, err := d.image(ctx, "cart")
	if err != nil {
		return err
	}
	for _, m := range []meddling{
		{"kubectl scale deployment web --replicas 4", key("Deployment", "web"), scale(4), await.Field(1, "spec", "replicas")},
		{"kubectl set image deployment/cart cart=shop/cart:hacked", key("Deployment", "cart"), setPodImage("shop/cart:hacked"), hasImage(image)},
		{"kubectl edit configmap " + settings, key("ConfigMap", settings), setData("WEB_GREETING", "Closed."), await.Field(secondGreeting, "data", "WEB_GREETING")},
		{"kubectl delete service payments", key("Service", "payments"), nil, await.Field("payments", "metadata", "name")},
	} {
		if err := d.putBack(ctx, m); err != nil {
			return err
		}
	}
	if err := d.step("all services are as Git has them", func() error { return d.running(ctx) }); err != nil {
		return err
	}
	return d.shop(ctx, secondVersion, secondGreeting)
}

// putBack meddles once and waits until Slipway has undone it.
func (d *demo) putBack(ctx context.Context, m meddling) error {
	d.command("%s", m.text)
	uid, err := d.doByHand(ctx, m)
	if err != nil {
		return err
	}
	began := d.now()
	limit, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	err = await.Object(limit, d.client, m.object, func(obj *unstructured.Unstructured) string {
		if obj != nil && m.do == nil && string(obj.GetUID()) == uid {
			return "the old one is still there"
		}
		return m.back(obj)
	})
	if err != nil {
		return fmt.Errorf("%s was not put back within %s: %w", m.text, soon, err)
	}
	d.held("put back after %s", brief(d.now().Sub(began)))
	return nil
}

// doByHand changes or deletes the object and returns its UID.
func (d *demo) doByHand(ctx context.Context, m meddling) (uid string, err error) {
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		obj := m.object.DeepCopy()
		if err := d.client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		uid = string(obj.GetUID())
		if m.do == nil {
			return d.client.Delete(ctx, obj)
		}
		if err := m.do(obj); err != nil {
			return err
		}
		return d.client.Update(ctx, obj, client.FieldOwner("kubectl-edit"))
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.text, err)
	}
	return uid, nil
}

func scale(replicas int64) func(*unstructured.Unstructured) error {
	return func(obj *unstructured.Unstructured) error {
		return unstructured.SetNestedField(obj.Object, replicas, "spec", "replicas")
	}
}

func setData(key, value string) func(*unstructured.Unstructured) error {
	return func(obj *unstructured.Unstructured) error {
		return unstructured.SetNestedField(obj.Object, value, "data", key)
	}
}

func setPodImage(image string) func(*unstructured.Unstructured) error {
	return func(obj *unstructured.Unstructured) error {
		containers, err := containersOf(obj)
		if err != nil {
			return err
		}
		containers[0].(map[string]any)["image"] = image
		return unstructured.SetNestedSlice(obj.Object, containers, "spec", "template", "spec", "containers")
	}
}

func hasImage(image string) await.Check {
	return func(obj *unstructured.Unstructured) string {
		containers, err := containersOf(obj)
		if err != nil {
			return err.Error()
		}
		if got := containers[0].(map[string]any)["image"]; got != image {
			return fmt.Sprintf("it runs image %v", got)
		}
		return ""
	}
}

// containersOf returns a Deployment's containers, of which there is at least
// one.
func containersOf(obj *unstructured.Unstructured) ([]any, error) {
	if obj == nil {
		return nil, fmt.Errorf("it isn't there")
	}
	containers, _, err := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return nil, err
	}
	if len(containers) == 0 {
		return nil, fmt.Errorf("%s has no containers", obj.GetName())
	}
	return containers, nil
}

// image returns the image that a Deployment runs.
func (d *demo) image(ctx context.Context, deployment string) (string, error) {
	obj := key("Deployment", deployment)
	if err := d.client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		return "", fmt.Errorf("read Deployment %s: %w", deployment, err)
	}
	containers, err := containersOf(obj)
	if err != nil {
		return "", err
	}
	image, _ := containers[0].(map[string]any)["image"].(string)
	return image, nil
}

// settings names web's ConfigMap, whose name follows its content: it is the
// one that web's pods refer to.
func (d *demo) settings(ctx context.Context) (string, error) {
	obj := key("Deployment", "web")
	if err := d.client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		return "", fmt.Errorf("read Deployment web: %w", err)
	}
	containers, err := containersOf(obj)
	if err != nil {
		return "", err
	}
	sources, _, _ := unstructured.NestedSlice(containers[0].(map[string]any), "envFrom")
	for _, s := range sources {
		name, _, _ := unstructured.NestedString(s.(map[string]any), "configMapRef", "name")
		if strings.HasPrefix(name, "web-") {
			return name, nil
		}
	}
	return "", fmt.Errorf("web's pods refer to no ConfigMap of web")
}
