package receiver

import (
	"fmt"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
)

// Reasons of the Ready condition beside those of Flux's API.
const (
	// reasonUnsupported is of a spec that asks for what isn't served.
	reasonUnsupported = "UnsupportedField"
	// reasonAccessDenied is of a reference that the agent's flags forbid.
	reasonAccessDenied = "AccessDenied"
)

// invalid is why a spec can't be served. Only a change of it helps.
type invalid struct {
	reason string
	err    error
}

func (i *invalid) Error() string { return i.err.Error() }
func (i *invalid) Unwrap() error { return i.err }

// check tells why a Receiver can't be served as it is, or returns nil. Its error is an *invalid.
func (r *Reconciler) check(obj *apiv1.Receiver) error {
	switch obj.Spec.Type {
	case apiv1.GenericReceiver, apiv1.GenericHMACReceiver, apiv1.GitHubReceiver, apiv1.GitLabReceiver:
	default:
		return &invalid{reasonUnsupported, fmt.Errorf("spec.type: %s is not served by this version of Slipway; let the sender call a receiver of type %s or %s, or leave this Receiver to Flux",
			obj.Spec.Type, apiv1.GenericReceiver, apiv1.GenericHMACReceiver)}
	}
	if obj.Spec.SecretRef == nil || obj.Spec.SecretRef.Name == "" {
		return &invalid{apiv1.ValidationFailedReason, fmt.Errorf("spec.secretRef.name is empty; name the Secret that has the token")}
	}
	if _, err := r.filters.compile(obj.Spec.ResourceFilter); err != nil {
		return &invalid{meta.InvalidCELExpressionReason, fmt.Errorf("spec.resourceFilter: %w", err)}
	}
	for i, resource := range obj.Spec.Resources {
		if err := r.checkResource(obj, resource); err != nil {
			err.err = fmt.Errorf("spec.resources[%d]: %w", i, err.err)
			return err
		}
	}
	return nil
}

func (r *Reconciler) checkResource(obj *apiv1.Receiver, resource apiv1.ReceiverResource) *invalid {
	if _, err := kindOf(resource); err != nil {
		return &invalid{apiv1.ValidationFailedReason, err}
	}
	if _, err := r.filters.compile(resource.Filter); err != nil {
		return &invalid{meta.InvalidCELExpressionReason, fmt.Errorf("filter: %w", err)}
	}
	switch {
	case r.opts.NoCrossNamespaceRefs && namespaceOf(obj, resource) != obj.Namespace:
		return &invalid{reasonAccessDenied, fmt.Errorf("can't access '%s/%s/%s', cross-namespace references have been blocked; put the Receiver into namespace %s",
			resource.Kind, resource.Namespace, resource.Name, resource.Namespace)}
	case resource.Name == everyName && len(resource.MatchLabels) == 0:
		return &invalid{apiv1.ValidationFailedReason, fmt.Errorf("name is '*' and matchLabels are empty; say by labels which ones are meant")}
	case resource.Name != everyName && len(resource.MatchLabels) > 0:
		return &invalid{apiv1.ValidationFailedReason, fmt.Errorf("matchLabels need the name '*', but it is %q", resource.Name)}
	}
	return nil
}

// everyName stands for all objects of a kind that have the labels.
const everyName = "*"

func namespaceOf(obj *apiv1.Receiver, resource apiv1.ReceiverResource) string {
	if resource.Namespace != "" {
		return resource.Namespace
	}
	return obj.Namespace
}
