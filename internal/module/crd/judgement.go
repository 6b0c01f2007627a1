package crd

// Code names a kind of finding.
type Code string

const (
	// About one field of a schema.

	FieldRemoved         Code = "FieldRemoved"
	RequiredAdded        Code = "RequiredAdded"
	RequiredDefaulted    Code = "RequiredDefaulted"
	TypeChanged          Code = "TypeChanged"
	TypeNarrowed         Code = "TypeNarrowed"
	EnumNarrowed         Code = "EnumNarrowed"
	LimitTightened       Code = "LimitTightened"
	TextTightened        Code = "TextTightened"
	NullForbidden        Code = "NullForbidden"
	DefaultChanged       Code = "DefaultChanged"
	DefaultNeeded        Code = "DefaultNeeded"
	RuleAdded            Code = "RuleAdded"
	TransitionRuleAdded  Code = "TransitionRuleAdded"
	UnknownFieldsDropped Code = "UnknownFieldsDropped"
	KeysTightened        Code = "KeysTightened"
	OwnershipChanged     Code = "OwnershipChanged"
	CombinationChanged   Code = "CombinationChanged"
	EmbeddedObject       Code = "EmbeddedObject"
	Unjudged             Code = "Unjudged"
	DroppedUntilCommit   Code = "DroppedUntilCommit"

	// About versions.

	VersionInUse           Code = "VersionInUse"
	VersionRemoved         Code = "VersionRemoved"
	VersionAdded           Code = "VersionAdded"
	VersionDeprecated      Code = "VersionDeprecated"
	StorageMoves           Code = "StorageMoves"
	StoredVersionRewritten Code = "StoredVersionRewritten"
	StoredVersionRemoved   Code = "StoredVersionRemoved"
	SubresourceRemoved     Code = "SubresourceRemoved"
	SubresourceAdded       Code = "SubresourceAdded"
	SelectorRemoved        Code = "SelectorRemoved"

	// About the whole definition.

	DefinitionAdded    Code = "DefinitionAdded"
	DefinitionRemoved  Code = "DefinitionRemoved"
	ScopeChanged       Code = "ScopeChanged"
	KindChanged        Code = "KindChanged"
	ConversionWebhook  Code = "ConversionWebhook"
	ConversionDeclared Code = "ConversionDeclared"
	ConversionDropped  Code = "ConversionDropped"
	ConversionMoved    Code = "ConversionMoved"
	NameTaken          Code = "NameTaken"
	NameShadowed       Code = "NameShadowed"
	NameDropped        Code = "NameDropped"
	TooLarge           Code = "TooLarge"
	Large              Code = "Large"
)

// judgement is what a code means in each direction. A side without a severity is no finding.
type judgement struct{ forward, backward side }

type side struct {
	severity Severity
	message  string
}

// since is said of constraints that the former definition has and the next one doesn't: objects from before the change keep them.
const since = "; objects written since the change may not comply: after going back they can be read, but not changed before they are corrected"

// judgements is the table of all codes; {} stands for the detail. Going back only endangers what was written since the change, because
// everything else was written under the former definition: that is why most of that side are notes.
func judgements() map[Code]judgement {
	return map[Code]judgement{
		FieldRemoved: {
			side{Unsafe, "the field is gone{}: what objects have there is dropped when they are next written; move the values elsewhere first, or take a version of the package that keeps the field"},
			side{Note, "the field is new: going back drops what was written to it since the change"},
		},
		RequiredAdded: {
			side{Unsafe, "now required, without a default: {}; objects without it can't be changed any more: set it in all objects before the upgrade, or ask for a default"},
			side{Note, "was required before: {}" + since},
		},
		RequiredDefaulted: {
			side{Note, "now required, with a default: {}; objects without it get the default"},
			side{Note, "was required before, with a default: {}; objects without it get the default again"},
		},
		TypeChanged: {
			side{Unsafe, "the type changes from {}: objects that have the field can't be changed any more; such a change needs a new API version with a conversion: ask the package's author"},
			side{Irreversible, "the type would change back from {}: what the new controller wrote isn't valid before; make a backup of the objects, going back is by hand"},
		},
		TypeNarrowed: {
			side{Unsafe, "the type narrows from {}: objects that use the other type can't be changed any more; correct them before the upgrade"},
			side{Note, "the type was narrower before ({})" + since},
		},
		EnumNarrowed: {
			side{Unsafe, "fewer values are allowed ({}): objects that have others can't be changed any more; change them before the upgrade"},
			side{Note, "fewer values were allowed before ({})" + since},
		},
		LimitTightened: {
			side{Unsafe, "a limit is tighter ({}): objects beyond it can't be changed any more; bring them within it before the upgrade"},
			side{Note, "the limit was tighter before ({})" + since},
		},
		TextTightened: {
			side{Unsafe, "the form of the value is restricted ({}): objects with other values can't be changed any more; check them before the upgrade"},
			side{Note, "the form of the value was restricted before ({})" + since},
		},
		NullForbidden: {
			side{Unsafe, "null is no longer allowed: objects that have null can't be changed any more; remove it from them before the upgrade"},
			side{Note, "null was not allowed before" + since},
		},
		DefaultChanged: {
			side{Note, "{}: objects that don't set the field may behave differently; set it where the former value matters"},
			side{Note, "the default changes back ({}); objects written since the change keep what they got"},
		},
		DefaultNeeded: {
			side{Unsafe, "the default of a required field is gone ({}): objects that relied on it can't be changed any more; set the field in all objects before the upgrade"},
			side{Note, "the required field had no default before ({})" + since},
		},
		RuleAdded: {
			side{Unsafe, "a new validation rule ({}): objects that break it can't be changed any more; check them before the upgrade"},
			side{Note, "the validation rule was there before ({})" + since},
		},
		TransitionRuleAdded: {
			side{Note, "a new rule for changes ({}): objects are as valid as before, but some changes are refused now"},
			side{Note, "the rule for changes was there before ({}); objects stay valid"},
		},
		UnknownFieldsDropped: {
			side{Unsafe, "unknown fields are no longer kept: they are dropped when objects are next written; move the values elsewhere first, or take a version of the package that lists the fields"},
			side{Note, "unknown fields were not kept before: going back drops those written since the change"},
		},
		KeysTightened: {
			side{Unsafe, "items must now be unique ({}): objects with items twice can't be changed any more; correct them before the upgrade"},
			side{Note, "items had to be unique before ({})" + since},
		},
		OwnershipChanged: {
			side{Note, "server-side apply now merges the field differently ({}): who else writes to it may lose or keep entries; look at the field's managers"},
			side{Note, "server-side apply merges the field as before again ({})"},
		},
		CombinationChanged: {
			side{Unsafe, "{} changed in a way that can't be judged: objects may not be valid any more; try their manifests with a server-side dry-run in a test cluster"},
			side{Note, "{} was different before" + since},
		},
		EmbeddedObject: {
			side{Unsafe, "the value must now be a whole object with apiVersion, kind and metadata: objects with anything else can't be changed any more; correct them before the upgrade"},
			side{Note, "the value had to be a whole object before" + since},
		},
		Unjudged: {
			side{Unsafe, "the schema changed in a way that can't be judged ({}): try the objects' manifests with a server-side dry-run in a test cluster, and accept the finding if they pass"},
			side{Irreversible, "the schema would change back in a way that can't be judged ({}): make a backup of the objects, going back is by hand"},
		},
		DroppedUntilCommit: {
			side{}, side{Note, "only the new version has the field: until the commit objects are stored in the old version, which drops what is written to it; use the field after the commit"},
		},
		VersionInUse: {
			side{Unsafe, "the version is no longer served, but used by {}: bring them to another version before the upgrade"}, side{},
		},
		VersionRemoved: {
			side{Note, "the version is no longer served once the upgrade is through: manifests and clients that use it must move to another one"}, side{},
		},
		VersionAdded: {
			side{}, side{Note, "the version is new: after going back it isn't served, and manifests and clients that use it fail"},
		},
		VersionDeprecated: {
			side{Note, "the version is deprecated now: move manifests to another version{}"}, side{},
		},
		StorageMoves: {
			side{Note, "objects are stored in another version ({}) from the commit on"},
			side{Note, "until the commit objects stay stored as before ({}); after it there is no way back by itself"},
		},
		StoredVersionRewritten: {
			side{Note, "objects may still be stored in this version, which is going: it is kept until the commit, which rewrites them"}, side{},
		},
		StoredVersionRemoved: {
			side{Unsafe, "objects may still be stored in this version, which is gone, and the new conversion webhook may not know it: upgrade first to a version of the package that still has both, and rewrite the objects"},
			side{Irreversible, "objects can't stay stored in their version, because the next definition has no place for it: there is no way back once it is applied"},
		},
		SubresourceRemoved: {
			side{Unsafe, "the subresource {} is gone: clients that use it fail (a controller its status, an autoscaler its scale); ask the package's author"},
			side{Note, "the subresource {} is new: clients that began to use it fail after going back"},
		},
		SubresourceAdded: {
			side{Note, "the subresource {} is new: with status, writes to the object itself no longer change its status; controllers of before must know that"},
			side{Note, "the subresource {} comes back"},
		},
		SelectorRemoved: {
			side{Note, "the field can no longer be selected by: clients with that field selector fail; change them"},
			side{Note, "the field can be selected by only since the change: clients with that field selector fail after going back"},
		},
		DefinitionAdded: {
			side{}, side{Note, "the definition is new: going back deletes it with all objects of its kind that were made since"},
		},
		DefinitionRemoved: {
			side{Unsafe, "the package no longer has the definition: deleting it deletes all objects of its kind; keep it, or back the objects up and delete them yourself before the upgrade"},
			side{Irreversible, "deleted objects don't come back: keep a backup"},
		},
		ScopeChanged: {
			side{Unsafe, "the scope changes ({}), which the API server refuses: back the objects up, delete the definition, install the next version and restore them by hand"},
			side{Irreversible, "the scope would change back ({}), which the API server refuses: keep a backup of the objects"},
		},
		KindChanged: {
			side{Unsafe, "the kind changes ({}): stored objects carry the old kind and can't be read any more; such a change needs a definition with another name: ask the package's author"},
			side{Irreversible, "the kind would change back ({}): objects written since the change can't be read after going back; keep a backup"},
		},
		ConversionWebhook: {
			side{}, side{Irreversible, "versions are converted by a webhook, and the package doesn't declare that it converts both ways: ask its author to declare it, or back the objects up and accept that there is no way back"},
		},
		ConversionDeclared: {
			side{}, side{Note, "versions are converted by a webhook; the package declares that it converts both ways"},
		},
		ConversionDropped: {
			side{Unsafe, "versions are no longer converted: fields that differ between them are dropped; ask the package's author whether that is meant"},
			side{Note, "versions were not converted before: fields that differ between versions are dropped after going back"},
		},
		ConversionMoved: {
			side{Note, "the conversion webhook moves ({}): until it answers there, objects can only be read in their stored version; see that its workload comes up"},
			side{Note, "the conversion webhook moves back ({}): until it answers there, objects can only be read in their stored version"},
		},
		NameTaken: {
			side{Unsafe, "{}: the API server won't serve the definition; remove the other one, or ask one of the authors for another name"}, side{},
		},
		NameShadowed: {
			side{Note, "{}: kubectl may mean the other one; write the name with its group"}, side{},
		},
		NameDropped: {
			side{Note, "{} is gone: scripts that use it fail; write another name of the kind"},
			side{Note, "{} is new: scripts that began to use it fail after going back"},
		},
		TooLarge: {
			side{Unsafe, "the definition is too large ({}): the API server can't store it; ask the package's author for a build without descriptions"}, side{},
		},
		Large: {
			side{Note, "the definition is large ({}): it doesn't fit into a Secret or soon not into etcd uncompressed; a build without descriptions is smaller"}, side{},
		},
	}
}
