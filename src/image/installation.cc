#include "image/installation.h"

#include "sys/clock.h"

namespace curlingiron {

Result<BegunInstallation> BegunInstallation::begin(ImageStream& image, BlockWriter& writer) {
  TRY(writer.begin());
  return BegunInstallation(image, writer);
}

Result<CopiedImage> BegunInstallation::copy() const {
  Time start = now();
  TRY(writer_->copy(image_->image()));
  TRY(writer_->finish());
  return CopiedImage(*image_, *writer_,
                     {.took = now() - start,
                      .image_size = writer_->image_size(),
                      .zeroed = writer_->counters().zeroed.load(),
                      .downloaded = image_->downloaded(),
                      .resumptions = image_->resumptions()});
}

Result<ProvenImage> CopiedImage::prove() const {
  return ProvenImage(*writer_, TRY(image_->prove(report_.image_size)));
}

Result<void> ProvenImage::read_back() {
  TRY(writer_->verify());
  proof_.by.emplace_back("readback");
  return {};
}

Result<void> ProvenImage::make_bootable() { return writer_->commit(proof_.digest); }

}  // namespace curlingiron
