// Package permit holds what a package brings against the ModuleGrant that bounds it: the rights that its roles give, and those that its
// pods get by the service accounts that they run as; where its objects are, and of which kinds; what its pods need of the node.
//
// Whoever writes a package, and whoever writes a Module, is taken for somebody who wants more than they have. So what can't be judged
// is refused: a role that isn't there, an aggregation whose members nobody knows yet, a binding to a role that somebody else may widen.
//
// The package is pure: whoever calls it reads the cluster. It doesn't ask who wrote the Module: package author does.
package permit
