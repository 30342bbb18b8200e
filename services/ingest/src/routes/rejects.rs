//! `GET /v1/imports/{job}/rejects`: every row that was refused, as CSV.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use muster_http::{Caller, Problem, Role};
use tokio_util::io::ReaderStream;

use crate::Ingest;
use crate::folder::ImportFolder;
use crate::jobs::IMPORT;
use crate::operations::jobs_problem;

/// The rows an import refused.
///
/// CSV with the columns `file,line,column,reason,value`, one line per refused row, complete once the job
/// is finished. Values of `user_id` are left out.
#[utoipa::path(
    get,
    path = "/v1/imports/{job}/rejects",
    tag = "imports",
    operation_id = "downloadRejects",
    params(("job" = String, Path, description = "The import's job")),
    responses(
        (status = 200, description = "The report", body = String, content_type = "text/csv"),
        (status = 404, description = "No such import", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn download(
    ingest: Data<Ingest>,
    caller: Caller,
    job: Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.require_role(Role::Import)?;
    let no_import = || Problem::not_found("such import");
    let job = ingest.jobs.get(&job).await.map_err(jobs_problem)?.ok_or_else(no_import)?;
    if job.kind != IMPORT || !caller.sees(job.app_id.as_deref(), &job.owner) {
        return Err(no_import());
    }
    let folder = ImportFolder::of(&ingest.settings.folder, &job.id).ok_or_else(no_import)?;
    let file = match tokio::fs::File::open(folder.rejects()).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Problem::not_found("reject report yet: the import has not begun"));
        }
        Err(error) => return Err(Problem::internal(error)),
    };
    let disposition = format!("attachment; filename=\"rejects-{}.csv\"", job.id);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, disposition))
        .streaming(ReaderStream::new(file)))
}
