# A repository to try it with: no cloud, no credentials, one file.

variable "commit" {
  type        = string
  description = "The commit that is applied."
  default     = "none"
}

resource "terraform_data" "release" {
  input = var.commit

  provisioner "local-exec" {
    command = "echo applied ${var.commit}"
  }
}

output "commit" {
  value = terraform_data.release.output
}
