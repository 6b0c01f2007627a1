// Package provenance says where each field of a built object comes from: which file and line of the source, which patch, which line
// of which kustomization.yaml, which field of the Kustomization, which variable.
//
// Kustomize keeps no such record, so it is found out by experiment, from the outside, with the builder that the agent uses:
//
//  1. One build runs on a copy of the tree in which every document starts at a line of its own, far down. A node that Kustomize
//     carries into the object still has its line, and so names its file. What a transformer has set has lost it.
//  2. For the fields that are left, each value in the source that has something to do with the field is changed, one at a time, and
//     the source is built again: whatever changes the field has set it, or had a part in it.
//  3. Variables and common metadata come after Kustomize; they are compared before and after.
//
// This costs up to some hundred builds, so it is for people who ask about one object, and not for the agent.
package provenance
