// Checkpoint+Names.swift -- a model's checkpoint, its tensors called as WeightKey has them.

import XverseCore
import XverseFormats

extension Checkpoint {
  /// Opens the checkpoint of a model that may have been saved without its head, or with what training had wrapped it in.
  package convenience init(
    ofModelAt location: CheckpointLocation, mode: MappedFile.Mode, allocator: MemoryAllocator,
    progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    try self.init(
      location, mode: mode, allocator: allocator, renaming: WeightNames.unwrapped, progress: progress)
  }

  /// What is there in place of a weight that is missing: "; there are 57 other tensors, such as 'transformer.wte.weight'".
  func others(than configuration: ModelConfiguration) -> String {
    let others = tensorNames.filter {
      !WeightNames.isUsed($0, in: format, by: configuration) && !WeightNames.isIgnored($0)
    }
    guard let first = others.first else { return "" }
    return "; there are \(others.count) tensors of other names, such as '\(first.inMessage)'"
  }
}
