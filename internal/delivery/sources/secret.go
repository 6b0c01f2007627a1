package sources

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/source"
)

// secret reads the Secret that a field of a source names, such as spec.secretRef, in the source's namespace; nil if the field is empty.
// It is read anew each time. Errors are *source.Error and say which Secret is missing, and where it is named.
func secret(ctx context.Context, reader client.Reader, namespace string, ref *meta.LocalObjectReference, field string) (*corev1.Secret, error) {
	if ref == nil {
		return nil, nil
	}
	var found corev1.Secret
	if err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, &found); err != nil {
		if client.IgnoreNotFound(err) == nil {
			err = fmt.Errorf("secret '%s/%s' not found; create it, or correct %s", namespace, ref.Name, field)
		}
		return nil, &source.Error{Reason: source.ReasonAuthenticationFailed, Err: err}
	}
	return &found, nil
}
