// Package rbac says what the agent may do in a cluster, and why. It holds no code: role.yaml beside it is generated from the
// markers below. What a tenant's objects may be is no part of it: the agent applies them as the tenant's own service account,
// which it may impersonate, and so with that account's permissions.
package rbac

// The objects that it reconciles: read and watched in every namespace; finalizers and the annotations of a takeover are written
// on the object, outcomes on the status. It creates and deletes none of them.
// +kubebuilder:rbac:groups=source.toolkit.fluxcd.io,resources=gitrepositories;ocirepositories;buckets,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=source.toolkit.fluxcd.io,resources=gitrepositories/status;ocirepositories/status;buckets/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=source.toolkit.fluxcd.io,resources=gitrepositories/finalizers;ocirepositories/finalizers;buckets/finalizers,verbs=update;patch
// +kubebuilder:rbac:groups=kustomize.toolkit.fluxcd.io,resources=kustomizations,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=kustomize.toolkit.fluxcd.io,resources=kustomizations/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=kustomize.toolkit.fluxcd.io,resources=kustomizations/finalizers,verbs=update;patch
// +kubebuilder:rbac:groups=notification.toolkit.fluxcd.io,resources=receivers,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=notification.toolkit.fluxcd.io,resources=receivers/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=notification.toolkit.fluxcd.io,resources=receivers/finalizers,verbs=update;patch

// What teaches it kinds: read and watched, and what became of it written on the status.
// +kubebuilder:rbac:groups=slipway.dev,resources=interpreters,verbs=get;list;watch
// +kubebuilder:rbac:groups=slipway.dev,resources=interpreters/status,verbs=patch

// What else a Receiver may wake: read by name or labels, and asked to reconcile by an annotation. Whoever reconciles these kinds is
// somebody else.
// +kubebuilder:rbac:groups=source.toolkit.fluxcd.io,resources=helmcharts;helmrepositories;externalartifacts,verbs=get;list;patch
// +kubebuilder:rbac:groups=source.extensions.fluxcd.io,resources=artifactgenerators,verbs=get;list;patch
// +kubebuilder:rbac:groups=helm.toolkit.fluxcd.io,resources=helmreleases,verbs=get;list;patch
// +kubebuilder:rbac:groups=image.toolkit.fluxcd.io,resources=imagerepositories;imagepolicies;imageupdateautomations,verbs=get;list;patch

// What another controller made, and says so in the status: it is read and downloaded, never written.
// +kubebuilder:rbac:groups=source.toolkit.fluxcd.io,resources=externalartifacts,verbs=get;list;watch

// Credentials that a source's secretRef names, values that a Kustomization's substituteFrom names and the keys for its decryption: read by
// name. Of the ConfigMaps that a Kustomization names the metadata is watched, also by name, so that a change is taken up at once and
// nothing is asked by the clock. Secrets are asked for at each interval, as roles can't admit a watch of the named ones alone; whoever
// grants list and watch on Secrets has their changes taken up at once too. No cache holds what nobody names.
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch

// The identity under which the objects of a Kustomization with a serviceAccountName are applied and watched. The API server adds the
// service account's groups by itself, so no group needs to be impersonated. Whether the account still exists decides how a Kustomization
// that is being deleted ends: without it there is nobody to delete its objects as.
// +kubebuilder:rbac:groups="",resources=serviceaccounts,verbs=get;impersonate

// Which kinds the cluster serves: a Kustomization that lacks one goes on as soon as its definition appears.
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch

// What the plan of a module reads: who may use which grant is asked by the API server, and the agent looks that it is; what the rights of a
// package's pods would be, which namespaces there are, which objects of a kind, and what machines the nodes are. Objects of modules are applied
// with rights that the agent has to be given beside these.
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,resourceNames=slipway-module-authors,verbs=get
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=clusterroles;clusterrolebindings;roles;rolebindings,verbs=get;list
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups="",resources=nodes,verbs=list

// What happened is told as events on the objects.
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Whether Flux's controllers work in the cluster: while they do, the agent leaves all objects alone. Their leases count in the namespaces
// of --flux-namespace only; elsewhere they are told of.
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,resourceNames=kustomize-controller-leader-election;source-controller-leader-election,verbs=get;list;watch

// One replica leads; the others wait for its lease. The lease lives in the agent's own namespace.
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,namespace=slipway-system,verbs=get;create;update;patch

// Whether another process asks to serve delivery in the agent's place: it does so by this lease.
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,resourceNames=slipway-delivery,namespace=slipway-system,verbs=list;watch

// The agent's own upgrade, in its own namespace: attempts are made for the module of the agent, read, their status written, and the oldest
// deleted; the two StatefulSets that are its slots are made and changed, and those alone; the probe's pod and the guard of an upgrade are
// made, read and removed. To make an object can't be bound to a name. The slots' pods are read for what keeps them from running.
// +kubebuilder:rbac:groups=slipway.dev,resources=agentupgrades,namespace=slipway-system,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=slipway.dev,resources=agentupgrades/status,namespace=slipway-system,verbs=update
// +kubebuilder:rbac:groups=slipway.dev,resources=agentupgrades/finalizers,namespace=slipway-system,verbs=update
// +kubebuilder:rbac:groups=apps,resources=statefulsets,namespace=slipway-system,verbs=create
// +kubebuilder:rbac:groups=apps,resources=statefulsets,resourceNames=slipway-agent;slipway-agent-b,namespace=slipway-system,verbs=get;update;delete
// +kubebuilder:rbac:groups=apps,resources=deployments,namespace=slipway-system,verbs=create
// +kubebuilder:rbac:groups=apps,resources=deployments,resourceNames=slipway-agent-guard,namespace=slipway-system,verbs=get;delete
// +kubebuilder:rbac:groups="",resources=pods,namespace=slipway-system,verbs=create;list
// +kubebuilder:rbac:groups="",resources=pods,resourceNames=slipway-agent-probe,namespace=slipway-system,verbs=get;delete

// Modules: read and watched, with their finalizer and what became of them written on them; their revisions are made and removed. Grants are
// read. What a module brings is no part of this role: see deploy/base/modules.yaml.
// +kubebuilder:rbac:groups=slipway.dev,resources=modules,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=slipway.dev,resources=modules/status,verbs=patch
// +kubebuilder:rbac:groups=slipway.dev,resources=modulerevisions,verbs=get;list;create;delete
// +kubebuilder:rbac:groups=slipway.dev,resources=modulerevisions/status,verbs=patch
// +kubebuilder:rbac:groups=slipway.dev,resources=modulegrants,verbs=get;list;watch

// What revisions hold is kept in Secrets of the agent's own namespace, and what modules name there is watched.
// +kubebuilder:rbac:groups="",resources=secrets,namespace=slipway-system,verbs=get;list;watch;create;delete
