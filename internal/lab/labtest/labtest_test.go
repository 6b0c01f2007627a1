package labtest_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func TestControlPlaneGivesEachTestItsNamespace(t *testing.T) {
	one, two := labtest.ControlPlane(t), labtest.ControlPlane(t)
	if one.Namespace == two.Namespace {
		t.Errorf("both have the namespace %s", one.Namespace)
	}
	for _, env := range []*labtest.Env{one, two} {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: env.Namespace}}
		if err := env.Client(t, nil).Create(t.Context(), object); err != nil {
			t.Errorf("create in %s: %v", env.Namespace, err)
		}
	}
}

func TestUserMayDoWhatRBACGrants(t *testing.T) {
	env := labtest.ControlPlane(t)
	c, err := client.New(env.ServiceAccount("nobody"), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: env.Namespace}})
	if !apierrors.IsForbidden(err) {
		t.Errorf("create as a service account without roles: got %v, want a refusal", err)
	}
}
