// Quantization.swift -- the quantization that a caller asks for, as a step of loading a model.

import XverseCore
import XverseFormats
import XverseLoading
import XverseTensors

/// Which types the matrices get, and the text that their rounding is calibrated on.
package struct Quantization: Sendable {
  /// nil leaves the weights as they are.
  package var scheme: QuantizationScheme?
  /// The path of a calibration text; nil to round to nearest.
  package var calibrationPath: [UInt8]?

  package init() {}

  /// Most bytes of a calibration text: many times what is used of it.
  private static let calibrationLimit = 64 << 20

  /// The step that makes a loaded model a quantized one; nil for none. The calibration text is read now.
  ///
  /// - Parameter context: Reports the phase "quantize" or "calibrate".
  /// - Throws: `invalid` for a calibration text without a scheme; what reading the text throws.
  package func conversion(_ context: ComputeContext) throws(XverseError) -> LoadedModel.Conversion? {
    guard let scheme else {
      guard calibrationPath == nil else { throw .invalid("calibration is set, expected quantize=int8 or int4 with it") }
      return nil
    }
    guard let calibrationPath else {
      return { (model, _) throws(XverseError) in
        try RoundToNearest(scheme, context.phase("quantize")).quantize(model)
      }
    }
    let text = try MappedFile(
      path: calibrationPath, mode: .read, allocator: context.allocator, maximumLength: Self.calibrationLimit)
    return { (model, tokenizer) throws(XverseError) in
      var tokens = Buffer<Int32>(allocator: context.allocator)
      try tokenizer.encode(text.bytes, parsingSpecials: false, into: &tokens)
      return try Calibration(scheme, context.phase("calibrate")).quantize(model, on: tokens.elements)
    }
  }
}
