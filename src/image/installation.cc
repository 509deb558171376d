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

Result<UnbootableImage> ProvenImage::write_ends() {
  TRY(writer_->write_ends(proof_.digest));
  return UnbootableImage(*writer_);
}

UnbootableImage::~UnbootableImage() {
  if (writer_ != nullptr) writer_->withdraw();
}

Result<void> UnbootableImage::make_bootable() && {
  return std::exchange(writer_, nullptr)->write_first_sector();
}

}  // namespace curlingiron
