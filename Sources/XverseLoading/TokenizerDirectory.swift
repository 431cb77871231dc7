// TokenizerDirectory.swift -- a tokenizer alone, with the special ids of the files beside it.

import XverseCore
import XverseFormats
import XverseModels
import XverseTokenizers

/// What a tokenizer.json, the directory that holds one, or a GGUF file turns into.
package struct TokenizerDirectory {
  package let tokenizer: Tokenizer
  /// nil without a config.json beside a tokenizer.json.
  package let specialTokens: SpecialTokens?

  /// - Throws: `notFound`, `io`, `corrupt`, `unsupported`, `limit`, naming the file and the part of it.
  package init(path: some PathName) throws(XverseError) {
    let place = try FilePath(path)
    tokenizer = try TokenizerSource(path: place, allocator: .system).tokenizer(.system)
    if try WeightsFormat(contentsOf: place) == .gguf {
      let location = try CheckpointLocation(path: place)
      let gguf = try GGUFDescription(location, allocator: .system)
      let configuration = try ModelDescription.configuration(location, gguf, ModelOptions(), .system)
      specialTokens = SpecialTokens(configuration, nil)
      return
    }
    let directory = try place.kind() == .directory ? place : place.directory
    guard try directory.appending("config.json").exists() else {
      specialTokens = nil
      return
    }
    let location = try CheckpointLocation(path: directory)
    let configuration = try ModelDescription.configuration(location, nil, ModelOptions(), .system)
    specialTokens = SpecialTokens(
      configuration, try ModelDescription.generationDefaults(location, configuration, .system))
  }
}
