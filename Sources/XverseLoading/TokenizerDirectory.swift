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
  package init(path: String) throws(XverseError) {
    tokenizer = try TokenizerSource(path: path, allocator: .system).tokenizer(.system)
    if path.hasSuffix(".gguf") {
      let location = try CheckpointLocation(path: path)
      let gguf = try GGUFDescription(location, allocator: .system)
      let configuration = try ModelDescription.configuration(location, gguf, ModelOptions(), .system)
      specialTokens = SpecialTokens(configuration, nil)
      return
    }
    let place = try FilePath(path)
    let directory = try place.kind() == .directory ? place : try FilePath(place.directory)
    guard try directory.appending("config.json").exists() else {
      specialTokens = nil
      return
    }
    let location = try CheckpointLocation(path: directory.text)
    let configuration = try ModelDescription.configuration(location, nil, ModelOptions(), .system)
    specialTokens = SpecialTokens(
      configuration, try ModelDescription.generationDefaults(location, configuration, .system))
  }
}
