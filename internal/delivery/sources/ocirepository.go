package sources

import (
	"context"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// OCIRepositories serves OCIRepository. reader asks the API server for the Secrets and the ServiceAccount that they name.
func OCIRepositories(registries *oci.Client, reader client.Reader, limits source.Limits) Kind {
	return kindOf(ociRepositories{registries: registries, reader: reader, limits: limits})
}

type ociRepositories struct {
	registries *oci.Client
	reader     client.Reader
	limits     source.Limits
}

func (ociRepositories) traits() traits {
	return traits{kind: sourcev1.OCIRepositoryKind, failed: oci.ReasonPull, conditions: []string{sourcev1.SourceVerifiedCondition}}
}

func (ociRepositories) object() *sourcev1.OCIRepository { return &sourcev1.OCIRepository{} }
func (ociRepositories) list() client.ObjectList         { return &sourcev1.OCIRepositoryList{} }

func (ociRepositories) fields(obj *sourcev1.OCIRepository) fields {
	spec, status := &obj.Spec, &obj.Status
	return fields{
		interval: spec.Interval.Duration, timeout: spec.Timeout, suspend: spec.Suspend,
		artifact: &status.Artifact, conditions: &status.Conditions,
		observedGeneration: &status.ObservedGeneration, lastHandled: &status.LastHandledReconcileAt,
	}
}

// check refuses what is not served. Leaving such a field out of account would fetch something else than was asked for, or trust
// somebody else.
func (ociRepositories) check(obj *sourcev1.OCIRepository) error {
	spec := obj.Spec
	refuse := func(format string, args ...any) error {
		return &source.Error{Reason: source.ReasonUnsupportedField, Err: fmt.Errorf(format, args...)}
	}
	if p := spec.Provider; p != "" && p != sourcev1.GenericOCIProvider {
		return refuse("spec.provider: %s is not served by this version of Slipway: use generic with a login in spec.secretRef, or leave this OCIRepository to Flux", p)
	}
	v := spec.Verify
	switch {
	case v == nil:
		return nil
	case v.Provider == "notation" && v.SecretRef == nil:
		return refuse("spec.verify: notation needs spec.verify.secretRef, a Secret with trustpolicy.json and certificates")
	case v.Provider == "notation" || v.SecretRef != nil:
		return nil
	case len(v.MatchOIDCIdentity) == 0:
		return refuse("spec.verify: name the key in spec.verify.secretRef, or who may sign in spec.verify.matchOIDCIdentity; without, everybody with an account would be trusted")
	case v.TrustedRootSecretRef == nil:
		return refuse("spec.verify: matchOIDCIdentity needs spec.verify.trustedRootSecretRef, a Secret with Sigstore's trusted_root.json: nothing is trusted that isn't named here")
	}
	return nil
}

func (d ociRepositories) fetch(ctx context.Context, obj *sourcev1.OCIRepository, want want) (fetched[*sourcev1.OCIRepository], error) {
	var out fetched[*sourcev1.OCIRepository]
	spec := obj.Spec
	auth, err := d.auth(ctx, obj)
	if err != nil {
		return out, err
	}
	verifier, err := d.verifier(ctx, obj)
	if err != nil {
		out.conditions = unverified(err)
		return out, err
	}
	got, err := d.registries.Fetch(ctx, oci.Request{
		URL: spec.URL, Ref: ociReference(spec.Reference, want.revision), Layer: spec.LayerSelector, Ignore: spec.Ignore, Insecure: spec.Insecure,
		Auth: auth, Verify: verifier, Limits: d.limits,
	})
	if err != nil {
		out.conditions = unverified(err)
		return out, err
	}
	out.snapshot, out.metadata = got.Snapshot, got.Metadata
	if got.Verified.Good {
		out.conditions = []metav1.Condition{{
			Type: sourcev1.SourceVerifiedCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason,
			Message: fmt.Sprintf("verified signature of revision %s by %s", got.Snapshot.Revision(), got.Verified.Signer),
		}}
	}
	out.observe = func(obj *sourcev1.OCIRepository) {
		obj.Status.ObservedIgnore, obj.Status.ObservedLayerSelector = spec.Ignore, spec.LayerSelector
	}
	return out, nil
}

// unverified is the condition of a signature that is not trusted; none, if something else went wrong: a registry that is away says
// nothing about a signature.
func unverified(err error) []metav1.Condition {
	if reasonOf(err, "") != oci.ReasonVerification {
		return nil
	}
	return []metav1.Condition{{Type: sourcev1.SourceVerifiedCondition, Status: metav1.ConditionFalse, Reason: oci.ReasonVerification, Message: err.Error()}}
}

// ociReference is spec.ref, or the digest of a revision.
func ociReference(ref *sourcev1.OCIRepositoryRef, revision string) *sourcev1.OCIRepositoryRef {
	if revision == "" {
		return ref
	}
	_, digest, tagged := strings.Cut(revision, "@")
	if !tagged {
		digest = revision
	}
	return &sourcev1.OCIRepositoryRef{Digest: digest}
}

// auth reads what the registry is shown.
func (d ociRepositories) auth(ctx context.Context, obj *sourcev1.OCIRepository) (oci.Auth, error) {
	var secrets oci.Secrets
	pull, err := secret(ctx, d.reader, obj.Namespace, obj.Spec.SecretRef, "spec.secretRef")
	if err != nil {
		return oci.Auth{}, err
	}
	if pull != nil {
		secrets.Pull = append(secrets.Pull, pull.Data)
	}
	if name := obj.Spec.ServiceAccountName; name != "" {
		ofAccount, err := d.pullSecrets(ctx, obj.Namespace, name)
		if err != nil {
			return oci.Auth{}, err
		}
		secrets.Pull = append(secrets.Pull, ofAccount...)
	}
	if secrets.Cert, err = d.data(ctx, obj, obj.Spec.CertSecretRef, "spec.certSecretRef"); err != nil {
		return oci.Auth{}, err
	}
	if secrets.Proxy, err = d.data(ctx, obj, obj.Spec.ProxySecretRef, "spec.proxySecretRef"); err != nil {
		return oci.Auth{}, err
	}
	return oci.AuthFromSecrets(secrets)
}

// data is what a Secret holds; nil if the field is empty.
func (d ociRepositories) data(ctx context.Context, obj *sourcev1.OCIRepository, ref *meta.LocalObjectReference, field string) (map[string][]byte, error) {
	found, err := secret(ctx, d.reader, obj.Namespace, ref, field)
	if err != nil || found == nil {
		return nil, err
	}
	if found.Data == nil {
		return map[string][]byte{}, nil
	}
	return found.Data, nil
}

// pullSecrets reads the imagePullSecrets of a ServiceAccount.
func (d ociRepositories) pullSecrets(ctx context.Context, namespace, name string) ([]map[string][]byte, error) {
	var account corev1.ServiceAccount
	if err := d.reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &account); err != nil {
		if client.IgnoreNotFound(err) == nil {
			err = fmt.Errorf("service account '%s/%s' not found; create it, or correct spec.serviceAccountName", namespace, name)
		}
		return nil, &source.Error{Reason: source.ReasonAuthenticationFailed, Err: err}
	}
	var all []map[string][]byte
	for _, ref := range account.ImagePullSecrets {
		found, err := secret(ctx, d.reader, namespace, &meta.LocalObjectReference{Name: ref.Name}, "the imagePullSecrets of service account "+name)
		if err != nil {
			return nil, err
		}
		all = append(all, found.Data)
	}
	return all, nil
}
