// Package apply brings a set of objects into a cluster and keeps account of them: server-side apply in phases, inventory, prune.
//
// # What a set costs
//
// An object that was applied before, in the same form, and that the watches report as applied, costs no request. A changed one
// costs its write, and a dry-run before it so that a set with an invalid object changes nothing. Two dry-runs add nothing
// and are left out:
//
//   - The first object that is written proves itself: the API server takes it or leaves it, and nothing was changed before. So one
//     changed object costs one request, and k cost 2k-1.
//   - New objects that nothing acts on yet (ConfigMap, Secret, ServiceAccount, Role, RoleBinding, a Service inside the cluster, an
//     Ingress that leads only to such Services) are written first of all. Should one of them be refused, or the first of the others,
//     then those that this very call created are deleted again, as long as nobody else has touched them, and the next attempt of
//     that owner validates everything beforehand.
//
// What had been accepted once in the same form is not validated again when drift is corrected. After a start nothing is
// remembered; then the dry-run of an object that exists tells whether there is anything to write.
//
// # What it does not do
//
// It holds no worker: where a CRD takes longer than a moment, or a deletion does, it returns Incomplete, which names what to wait for.
// It does not judge health and does not decide when to apply; package delivery does.
package apply
