package apply

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/kube"
)

// unserved explains why there is no mapping for a kind.
func unserved(ref kube.Ref, err error) *Error {
	if !meta.IsNoMatchError(err) {
		return &Error{Reason: ReasonUnavailable, Ref: ref, Err: err, Message: fmt.Sprintf(
			"can't be applied now, because the cluster could not be asked whether it serves %s: %s", ref.GroupVersionKind(), err)}
	}
	return &Error{Reason: ReasonKindMissing, Ref: ref, Err: err, Message: fmt.Sprintf(
		"is of a kind that the cluster doesn't serve (%s in %s): install its CRD, put the CRD into the same set, or correct apiVersion and kind",
		ref.Kind, schema.GroupVersion{Group: ref.Group, Version: ref.Version})}
}

// explain turns the API server's refusal of a request about an item into an Error that says what to do.
func (a *api) explain(it *item, verb string, err error) *Error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	reason, text := a.classify(it, verb, err)
	e := &Error{Reason: reason, Ref: it.ref, Message: text, Err: err}
	if it.ref.GroupKind() == secretKind {
		e.Message, e.Err = withoutData(it, text, err), nil
	}
	return e
}

func (a *api) classify(it *item, verb string, err error) (Reason, string) {
	said := message(err)
	ns := it.ref.Namespace
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err):
		return ReasonUnavailable, "could not be applied in time; it is tried again: " + said
	case apierrors.IsTooManyRequests(err):
		return ReasonUnavailable, "could not be applied because the API server has too much to do; it is tried again: " + said
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return ReasonNamespaceTerminating, fmt.Sprintf("can't be created because namespace %s is being deleted: wait until it is gone, or use another namespace", ns)
	case missingNamespace(err):
		return ReasonNamespaceMissing, fmt.Sprintf("can't be created because there is no namespace %s: create it, or put it into the same set", ns)
	case strings.Contains(said, "exceeded quota"):
		return ReasonQuota, "exceeds a quota: raise the ResourceQuota or ask for less: " + said
	case strings.Contains(said, "denied the request"), strings.Contains(said, "ValidatingAdmissionPolicy"), strings.Contains(said, "violates PodSecurity"):
		return ReasonDenied, "is refused by a policy of the cluster: change the object as the policy asks, or the policy: " + said
	case strings.Contains(said, "failed calling webhook"):
		return ReasonUnavailable, "can't be checked by an admission webhook that does not answer: mend or remove the webhook: " + said
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return ReasonForbidden, a.grant(it, verb, said)
	case immutable(err):
		return ReasonImmutable, fmt.Sprintf("needs a change of a field that can't be changed: set spec.force of the Kustomization, or the annotation %s: enabled "+
			"on the object, to have it deleted and created again, or give it another name: %s", annotationForce, said)
	case malformed(err), apierrors.IsRequestEntityTooLargeError(err):
		return ReasonInvalid, "is not valid: correct it: " + said
	case apierrors.IsNotFound(err):
		return ReasonKindMissing, fmt.Sprintf("is of a kind that the cluster no longer serves (%s): install its CRD again: %s", it.ref.GroupVersionKind(), said)
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return ReasonConflict, "changed at the same moment; it is tried again: " + said
	case stumbled(err):
		return ReasonUnavailable, "could not be applied because the API server failed; it is tried again: " + said
	case transient(err):
		return ReasonUnavailable, "could not be applied because the API server does not answer; it is tried again: " + said
	}
	return ReasonFailed, "could not be applied: " + said
}

// grant says who lacks which right, and which rule would give it.
func (a *api) grant(it *item, verb, said string) string {
	who, resource := "this identity", it.ref.Kind
	if id := a.opts.Identity; id != (kube.Identity{}) {
		who = fmt.Sprintf("service account %s/%s", id.Namespace, id.ServiceAccount)
	}
	role, place := "ClusterRole", "in the cluster"
	if it.ref.Namespace != "" {
		role, place = "Role", "in namespace "+it.ref.Namespace
	}
	if it.mapping != nil {
		resource = it.mapping.Resource.Resource
	}
	return fmt.Sprintf("is forbidden: %s may not %s %s %s: bind it to a %s with apiGroups [%q], resources [%q], "+
		"verbs [get list watch create patch delete]: %s", who, verb, resource, place, role, it.ref.Group, resource, said)
}

// message returns what the API server said, without what it needs no repeating of.
func message(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Message
	}
	var u *url.Error // its text has the address in it, which may have credentials
	if errors.As(err, &u) {
		return u.Err.Error()
	}
	return err.Error()
}

// immutable tells whether the API server refuses to change a field that exists. It has no status of its own for that.
func immutable(err error) bool {
	if !apierrors.IsInvalid(err) {
		return false
	}
	said := message(err)
	for _, sign := range []string{
		"immutable", "may not change once set", "cannot change roleRef", "updates to statefulset spec for fields other than",
		"may not be changed", "cannot be changed", "pod updates may not change fields other than",
	} {
		if strings.Contains(strings.ToLower(said), strings.ToLower(sign)) {
			return true
		}
	}
	return false
}

// malformed tells whether the API server refuses the object as it is written. Where it fails to read it at all, it calls that an error of
// its own.
func malformed(err error) bool {
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return true
	}
	said := message(err)
	for _, sign := range []string{"not declared in schema", "failed to create typed patch object", "error decoding from json", "unable to convert unstructured object"} {
		if strings.Contains(said, sign) {
			return true
		}
	}
	return false
}

func missingNamespace(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d != nil && d.Kind == "namespaces"
}

// stumbled tells whether the API server failed for a reason of its own: 500 is also how it says that it can't read an object, and that a
// webhook has failed.
func stumbled(err error) bool {
	return apierrors.IsInternalError(err) && !malformed(err) && !strings.Contains(message(err), "webhook")
}

// transient tells whether the same request may well succeed a moment later.
func transient(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsServerTimeout(err) ||
			apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || stumbled(err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var n net.Error
	return errors.As(err, &n)
}

// withoutData returns a text about a Secret that has none of its values in it. Refusals quote parts of values, so of those only the
// fields are told.
func withoutData(it *item, text string, err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && malformed(err) {
		return "is not valid (what the API server said is not shown, as it may quote the data)" + fieldsOf(status.Status().Details)
	}
	return hide(it, text)
}

func fieldsOf(d *metav1.StatusDetails) string {
	if d == nil {
		return ": check that data is a map of base64 strings"
	}
	var fields []string
	for _, c := range d.Causes {
		if c.Field != "" {
			fields = append(fields, fmt.Sprintf("%s (%s)", c.Field, c.Type))
		}
	}
	if len(fields) == 0 {
		return ": check that data is a map of base64 strings"
	}
	return ": correct " + abridged(fields, ", ")
}
