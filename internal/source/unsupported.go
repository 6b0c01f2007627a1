package source

import (
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// Unsupported returns an *Error naming the first field of spec that this
// version can't honour, or nil. Such a field is refused rather than ignored:
// an unverified or incomplete tree must not look like the one that was asked for.
func Unsupported(spec sourcev1.GitRepositorySpec) error {
	refused := []struct {
		field, advice string
		set           bool
	}{
		{"spec.verify", "signatures are not checked by this version: remove the field only if you accept unsigned commits", spec.Verification != nil},
		{"spec.recurseSubmodules", "submodules are not fetched: vendor them, or remove the field", spec.RecurseSubmodules},
		{"spec.include", "use one Kustomization per repository, or vendor the files", len(spec.Include) > 0},
		{"spec.sparseCheckout", "leave directories out with spec.ignore", len(spec.SparseCheckout) > 0},
		{"spec.proxySecretRef", "set HTTPS_PROXY on the agent", spec.ProxySecretRef != nil},
		{"spec.provider: " + spec.Provider, "use a Secret with username and password, or a token (provider: generic)", spec.Provider != "" && spec.Provider != sourcev1.GitProviderGeneric},
		{"spec.serviceAccountName", "it only serves cloud providers: use spec.secretRef", spec.ServiceAccountName != ""},
	}
	for _, r := range refused {
		if r.set {
			return failf(ReasonUnsupportedField, "%s is not supported: %s", r.field, r.advice)
		}
	}
	return nil
}
