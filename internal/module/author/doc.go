// Package author says whether whoever wrote a Module was allowed to use the ModuleGrant that it names.
//
// An object doesn't say who wrote it: managedFields, annotations and labels are written by whoever writes the object, and can say
// anything. Only the API server knows, at the moment of the request. So the question is put there: a ValidatingAdmissionPolicy
// (config/admission) lets nobody write a spec that names a grant who lacks the verb "use" on it. The API server evaluates it itself: there is no
// webhook that could be away, and nobody but a cluster administrator can change it.
//
// What is left to be proved here is that the policy was there: it and its binding are compared with what they have to be, and they must be
// older than the Module. A Module that is older was maybe written when nobody asked; it counts only if the owner of the grant has
// named it in spec.modules.
package author
