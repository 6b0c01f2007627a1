package sources

import (
	"context"
	"fmt"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/bucket"
)

// Buckets serves Bucket. reader asks the API server for the Secrets that they name.
func Buckets(fetcher *bucket.Fetcher, reader client.Reader, limits source.Limits) Kind {
	return kindOf(buckets{fetcher: fetcher, reader: reader, limits: limits})
}

type buckets struct {
	fetcher *bucket.Fetcher
	reader  client.Reader
	limits  source.Limits
}

func (buckets) traits() traits {
	return traits{kind: sourcev1.BucketKind, failed: bucket.ReasonFailed}
}

func (buckets) object() *sourcev1.Bucket { return &sourcev1.Bucket{} }
func (buckets) list() client.ObjectList  { return &sourcev1.BucketList{} }

func (buckets) fields(obj *sourcev1.Bucket) fields {
	spec, status := &obj.Spec, &obj.Status
	return fields{
		interval: spec.Interval.Duration, timeout: spec.Timeout, suspend: spec.Suspend,
		artifact: &status.Artifact, conditions: &status.Conditions,
		observedGeneration: &status.ObservedGeneration, lastHandled: &status.LastHandledReconcileAt,
	}
}

func (buckets) check(obj *sourcev1.Bucket) error { return bucket.Check(obj.Spec) }

func (d buckets) fetch(ctx context.Context, obj *sourcev1.Bucket, want want) (fetched[*sourcev1.Bucket], error) {
	var out fetched[*sourcev1.Bucket]
	access, err := d.access(ctx, obj)
	if err != nil {
		return out, err
	}
	spec := obj.Spec
	out.snapshot, err = d.fetcher.Fetch(ctx, bucket.Request{
		Endpoint: spec.Endpoint, Name: spec.BucketName, Prefix: spec.Prefix, Region: spec.Region, Insecure: spec.Insecure,
		Ignore: spec.Ignore, Access: access, Limits: d.limits,
	}, want.previous)
	if err == nil && want.revision != "" && out.snapshot.Revision() != want.revision {
		return out, &source.Error{Reason: bucket.ReasonFailed, Err: fmt.Errorf("the bucket has other content than at revision %s, and keeps no older one: resume the Bucket", want.revision)}
	}
	out.observe = func(obj *sourcev1.Bucket) { obj.Status.ObservedIgnore = spec.Ignore }
	return out, err
}

// access reads all Secrets that a Bucket names.
func (d buckets) access(ctx context.Context, obj *sourcev1.Bucket) (bucket.Access, error) {
	var (
		spec  = obj.Spec
		found bucket.Secrets
	)
	keys, err := secret(ctx, d.reader, obj.Namespace, spec.SecretRef, "spec.secretRef")
	if err != nil {
		return bucket.Access{}, err
	}
	certificates, err := secret(ctx, d.reader, obj.Namespace, spec.CertSecretRef, "spec.certSecretRef")
	if err != nil {
		return bucket.Access{}, err
	}
	proxy, err := secret(ctx, d.reader, obj.Namespace, spec.ProxySecretRef, "spec.proxySecretRef")
	if err != nil {
		return bucket.Access{}, err
	}
	if keys != nil {
		found.Keys = nonNil(keys.Data)
	}
	if certificates != nil {
		found.Certificates = nonNil(certificates.Data)
	}
	if proxy != nil {
		found.Proxy = nonNil(proxy.Data)
	}
	return bucket.AccessFromSecrets(found)
}

// nonNil makes an empty Secret something else than none.
func nonNil(data map[string][]byte) map[string][]byte {
	if data == nil {
		return map[string][]byte{}
	}
	return data
}
