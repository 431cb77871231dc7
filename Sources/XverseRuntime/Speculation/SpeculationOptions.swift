// SpeculationOptions.swift -- how far to guess ahead, with transformers' names.

/// Most tokens to guess for one pass.
package struct SpeculationOptions: Sendable {
  /// `prompt_lookup_num_tokens`: from what stands in prompt and answer; 0 is off.
  package var promptLookupTokens = 0
  /// `num_assistant_tokens`: by the draft model, if there is one; 0 is off.
  package var draftTokens = 20
  /// Bound of both: the logits of so many tokens are held.
  package static let mostTokens = 64

  package init() {}
}
